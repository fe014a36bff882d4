"""Marks on every time axis, all made from metrics: no token of Grafana's API is needed to set them."""

from __future__ import annotations

from typing import Any

from grafanalib.core import Annotations

from app.domain.breaker import CircuitState
from app.metrics import ACTIVE_MODE, BREAKER_TURNS, BUILD_INFO
from app.promql import max_by
from monitoring.panels.scoped import WINDOW, grown, level_now, series
from monitoring.panels.targets import DATASOURCE

#: One step of the chart: what was not there a step ago is new.
_STEP_AGO = "offset $__interval"


def marks() -> Annotations:
    """Return the marks of every dashboard."""
    turns = grown(("agent", "state", "cause"), BREAKER_TURNS, window=WINDOW, state=f"!={CircuitState.OPEN}")
    opened = grown(("agent", "cause"), BREAKER_TURNS, window=WINDOW, state=CircuitState.OPEN)
    mode = level_now(("mode",), ACTIVE_MODE)
    mode_before = max_by(("environment", "mode"), f"{series(ACTIVE_MODE)} {_STEP_AGO}")
    return Annotations(
        [
            _mark("Deployments", _new_versions(), "blue", "{{version}} runs", "environment"),
            _mark("Circuit openings", f"{opened} > 0", "red", "{{agent}}: circuit opened ({{cause}})", "agent"),
            _mark("Circuit changes", f"{turns} > 0", "orange", "{{agent}}: {{state}} ({{cause}})", "agent"),
            _mark(
                "Mode changes", f"({mode} == 1) unless ({mode_before} == 1)", "purple", "Mode {{mode}}", "environment"
            ),
        ]
    )


def _new_versions() -> str:
    by = ("environment", "version")
    running = max_by(by, series(BUILD_INFO))
    return f"{running} unless {max_by(by, f'{series(BUILD_INFO)} {_STEP_AGO}')}"


def _mark(name: str, expression: str, colour: str, title: str, tags: str) -> dict[str, Any]:
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expression,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "tagKeys": tags,
        "titleFormat": title,
    }
