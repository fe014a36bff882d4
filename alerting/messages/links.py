"""Links of a message: where its buttons lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from alerting.messages.cards import Links
from alerting.signals import CATALOGUE, Signal

#: Seconds that a dashboard shows before the beginning and after the end.
_AROUND_SECONDS = 1800.0

#: Longest address that is passed on; what a stranger sent may be of any length.
_LONGEST = 2000


class LinkMaker:
    """Makes the links of messages.

    The addresses are settings; `dashboards` are the uids by the names of the alerts, for what comes without a link;
    `silence_link` may have none for a signal.
    """

    def __init__(
        self,
        *,
        web_url: str,
        runbook_url: str,
        grafana_url: str,
        dashboards: Mapping[str, str],
        silence_link: Callable[[Signal], str | None] = lambda _: None,
    ) -> None:
        self._web_url = web_url
        self._runbook_url = runbook_url
        self._grafana_url = grafana_url
        self._dashboards = dashboards
        self._silence_link = silence_link

    def links(self, signal: Signal, *, started_at: float, ended_at: float | None) -> Links:
        """Return the links of a message on what lasted from then until then, or lasts; in seconds since 1970."""
        known = signal.alert in CATALOGUE
        return Links(
            runbook=_web(signal.runbook_url) or (f"{self._runbook_url}/{signal.alert}" if known else None),
            dashboard=_dashboard(signal.dashboard_url or self._own_dashboard(signal), started_at, ended_at),
            job=f"{self._web_url}/jobs/{signal.job_id}" if signal.job_id else None,
            # What has ended needs no silence.
            silence=self._silence_link(signal) if ended_at is None else None,
        )

    def _own_dashboard(self, signal: Signal) -> str | None:
        uid = self._dashboards.get(signal.alert)
        query = urlencode({"var-environment": signal.environment})
        return f"{self._grafana_url}/d/{uid}?{query}" if uid else None


def _web(url: str | None) -> str | None:
    return url if url and len(url) <= _LONGEST and url.startswith(("http://", "https://")) else None


def _dashboard(url: str | None, started_at: float, ended_at: float | None) -> str | None:
    """Return the address with the time range; a rule's template does not know when the alert began."""
    if _web(url) is None:
        return None
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    end = "now" if ended_at is None else str(_milliseconds(ended_at + _AROUND_SECONDS))
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"from", "to"}]
    query += [("from", str(_milliseconds(started_at - _AROUND_SECONDS))), ("to", end)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
