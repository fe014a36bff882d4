"""The dashboards, one file each, made of `monitoring.rows`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grafanalib.core import Dashboard

from monitoring.dashboards.overview import overview

#: Every dashboard, by the name of its file.
DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "overview": overview,
}
