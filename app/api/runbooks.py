"""Runbooks, as alerts link to them: public, so that whoever is woken needs no token to read what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from apiflask import APIBlueprint
from flask import Response
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from app.api.html_pages import html_page
from app.api.operation import operation
from app.domain.alerts import EXPLAINED_ALERTS
from app.domain.errors import NotFoundError

runbooks = APIBlueprint("runbooks", __name__, url_prefix="/runbooks")

_NAMES = frozenset(alert.name for alert in EXPLAINED_ALERTS)
_INDEX = "README"

#: Documents that are not served are named by their place in the repository.
_DOCUMENTS = "docs/"


@operation(runbooks, "GET", "", access="public", answers={200: ("text/html",)})
def show_runbooks() -> Response:
    """Show the list of runbooks."""
    return _page(_INDEX)


@operation(
    runbooks,
    "GET",
    "/<alert>",
    access="public",
    answers={200: ("text/html",)},
    own_problems=(HTTPStatus.NOT_FOUND,),
)
def show_runbook(alert: str) -> Response:
    """Show what to do about an alert."""
    if alert not in _NAMES:
        raise NotFoundError("there is no alert of this name")
    return _page(alert)


def _page(name: str) -> Response:
    text = _folder().joinpath(f"{name}.md").read_text(encoding="utf-8")
    title = "Runbooks" if name == _INDEX else name
    return html_page("runbook.html", title=title, text=Markup(as_html(text)))  # noqa: S704 -- HTML in it is escaped


def as_html(text: str) -> str:
    """Return Markdown as HTML: HTML in it is shown as text, and links lead to runbooks only."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.children is not None:
            token.children = list(_with_own_links(token.children))
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _with_own_links(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens of a line; a link that leads elsewhere becomes its text and, in brackets, where it leads."""
    elsewhere = ""
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrs["href"])
            own = _own_address(target)
            elsewhere = "" if own else _place(target)
            if own:
                token.attrs["href"] = own
                yield token
        elif token.type == "link_close":
            yield Token("text", "", 0, content=f" ({elsewhere})") if elsewhere else token
        else:
            yield token


def _own_address(target: str) -> str | None:
    """Return the address of a runbook that a link leads to, None when it leads elsewhere."""
    found = re.fullmatch(r"(\w+)\.md", target)
    if found is None or found[1] not in {_INDEX, *_NAMES}:
        return None
    return "/runbooks" if found[1] == _INDEX else f"/runbooks/{found[1]}"


def _place(target: str) -> str:
    return target if "://" in target else _DOCUMENTS + target.removeprefix("../")


def _folder() -> Traversable:
    """Return where the runbooks are: in the package that was installed, else in the repository."""
    installed = files("app").joinpath("runbooks")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs" / "runbooks"
