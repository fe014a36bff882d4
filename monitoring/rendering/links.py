"""Links of dashboards, panels and cells, as they work without a Grafana."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from monitoring.rendering.dashboard import Link
from monitoring.rendering.variables import Variables

#: Schemes that a page may lead to; anything else, such as `javascript:`, is no link.
_SCHEMES = frozenset({"", "http", "https", "mailto"})
_DASHBOARD = re.compile(r"/d/([^/?#]+)")


@dataclass(frozen=True)
class PageLink:
    """Text and address of a link."""

    title: str
    url: str


@dataclass(frozen=True)
class KnownPage:
    """A page beside this one: what a link to its dashboard becomes."""

    uid: str
    title: str
    file: str
    tags: tuple[str, ...] = ()
    description: str = ""


class Links:
    """Turns links of Grafana into links between the pages that are drawn together."""

    def __init__(self, pages: Iterable[KnownPage]) -> None:
        self._pages: Mapping[str, KnownPage] = {page.uid: page for page in pages}

    def of(self, links: Iterable[Link], variables: Variables) -> list[PageLink]:
        """Return the links that lead somewhere; one of type `dashboards` becomes a link to each with all its tags."""
        found = []
        for link in links:
            if link.type == "dashboards":
                found += [
                    PageLink(page.title, page.file) for page in self._pages.values() if set(link.tags) <= set(page.tags)
                ]
                continue
            url = self.address(variables.in_url(link.url))
            if url:
                found.append(PageLink(variables.in_text(link.title) or url, url))
        return found

    def address(self, url: str) -> str:
        """Return where a link leads from a page: to another page for a dashboard, empty when it leads nowhere."""
        try:
            parts = urlsplit(re.sub(r"[\x00-\x20]", "", url))
        except ValueError:
            return ""
        dashboard = _DASHBOARD.search(parts.path)
        if dashboard and not parts.netloc:
            page = self._pages.get(dashboard[1])
            panel = parse_qs(parts.query).get("viewPanel", [""])[0].removeprefix("panel-")
            return "" if page is None else page.file + (f"#panel-{panel}" if panel else "")
        return parts.geturl() if parts.scheme.lower() in _SCHEMES else ""
