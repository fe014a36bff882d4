"""Links of panels and dashboards: to runbooks, to other dashboards, to the API's pages for operators."""

from __future__ import annotations

from typing import Any

from app.domain.alerts import Alert
from app.domain.dashboards import Dashboard

#: Tag of every dashboard of ours; the dropdown that leads from one to the next looks for it.
TAG = "marketplace"


def runbook(alert: Alert) -> dict[str, Any]:
    """Return the link to the page that says what to do about this alert."""
    return _link(f"Runbook: {alert.name.removeprefix('Marketplace')}", f"${{runbooks}}/{alert.name}")


def detail(board: Dashboard, title: str) -> dict[str, Any]:
    """Return the link to another dashboard, with the same time and variables."""
    return _link(title, f"/d/{board}?${{__url_time_range}}&${{__all_variables}}")


def api(path: str, title: str) -> dict[str, Any]:
    """Return the link to a GET of the API, which an operator may open; `path` begins with a slash."""
    return _link(title, f"${{api}}{path}")


def _link(title: str, url: str) -> dict[str, Any]:
    return {"targetBlank": True, "title": title, "type": "link", "url": url}
