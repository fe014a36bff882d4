"""Panels with a time axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from grafanalib.core import Panel, StateTimeline, TimeSeries

from monitoring.panels.colours import PLAIN, Steps, value_names
from monitoring.panels.frame import Frame, framed
from monitoring.panels.targets import PTarget, lettered


class HeatmapPanel(Panel):
    """A heatmap as Grafana has it since version 9; grafanalib's is the Angular one."""

    def to_json_data(self) -> dict[str, Any]:
        """Return the panel."""
        colour = {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64}
        hidden = {"legend": False, "tooltip": False, "viz": False}
        panel: dict[str, Any] = self.panel_json(
            {
                "fieldConfig": {"defaults": {"custom": {"hideFrom": hidden}, "unit": "short"}, "overrides": []},
                "options": {
                    "calculate": False,
                    "cellGap": 1,
                    "cellValues": {"unit": "short"},
                    "color": colour,
                    "exemplars": {"color": "rgba(255,0,255,0.7)"},
                    "filterValues": {"le": 1e-9},
                    "legend": {"show": True},
                    "rowsFrame": {"layout": "auto"},
                    "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
                    "yAxis": {"axisPlacement": "left", "reverse": False},
                },
                "type": "heatmap",
            }
        )
        return panel


def time_series(
    title: str,
    description: str,
    *targets: PTarget,
    unit: str,
    steps: Steps = PLAIN,
    stacked: bool = False,
    least: int | None = 0,
    most: int | None = None,
    **frame: Unpack[Frame],
) -> Panel:
    """Return lines over time; a limit among the steps is drawn as a dashed line."""
    return TimeSeries(
        **framed(title, description, frame, width=12, height=8),
        targets=lettered(targets),
        unit=unit,
        thresholds=list(steps),
        thresholdsStyleMode="dashed" if len(steps) > 1 else "off",
        fillOpacity=40 if stacked else 8,
        stacking={"group": "A", "mode": "normal" if stacked else "none"},
        showPoints="never",
        tooltipMode="multi",
        tooltipSort="desc",
        valueMin=least,
        valueMax=most,
        extraJson={"options": {"legend": {"showLegend": True}}},
    )


def state_timeline(
    title: str,
    description: str,
    *targets: PTarget,
    names: Mapping[float, tuple[str, str]],
    **frame: Unpack[Frame],
) -> Panel:
    """Return one lane per series; `names` says what each value stands for, and its colour."""
    return StateTimeline(
        **framed(title, description, frame, width=12, height=8),
        targets=lettered(targets),
        mappings=value_names(names),
        thresholds=list(PLAIN),
        extraJson={
            "fieldConfig": {"defaults": {"unit": "none"}},
            "options": {"legend": {"calcs": [], "showLegend": True}, "tooltip": {"sort": "none"}},
        },
    )


def heatmap(title: str, description: str, target: PTarget, *, unit: str, **frame: Unpack[Frame]) -> Panel:
    """Return the buckets of a histogram over time; `unit` is that of what is counted."""
    return HeatmapPanel(
        **framed(title, description, frame, width=12, height=8),
        targets=lettered([target]),
        thresholds=list(PLAIN),
        extraJson={"options": {"yAxis": {"unit": unit}}},
    )
