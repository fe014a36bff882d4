"""Panels that show one figure, or a few, as large as they can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

from grafanalib.core import GaugePanel, Panel, Stat

from monitoring.panels.colours import PLAIN, Steps, value_names
from monitoring.panels.frame import Frame, framed
from monitoring.panels.targets import PTarget, lettered

#: What stands for a figure that is not there.
_NO_VALUE = "-"


def stat(
    title: str,
    description: str,
    *targets: PTarget,
    unit: str,
    steps: Steps = PLAIN,
    names: Mapping[float, tuple[str, str]] | None = None,
    show: Literal["auto", "name", "value_and_name"] = "auto",
    decimals: int | None = None,
    **frame: Unpack[Frame],
) -> Panel:
    """Return the last value of each series as a figure, with its past behind it when the query has one."""
    past = any(not target.instant for target in targets)
    return Stat(
        **framed(title, description, frame, width=4, height=4),
        targets=lettered(targets),
        format=unit,
        thresholds=list(steps),
        color={"mode": "thresholds"},
        mappings=value_names(names) if names else [],
        decimals=decimals,
        noValue=_NO_VALUE,
        reduceCalc="lastNotNull",
        textMode=show,
        graphMode="area" if past else "none",
    )


def gauge(
    title: str,
    description: str,
    *targets: PTarget,
    unit: str,
    steps: Steps,
    least: float,
    most: float,
    **frame: Unpack[Frame],
) -> Panel:
    """Return the last value of each series on a dial from `least` to `most`."""
    options: dict[str, Any] = {
        "minVizHeight": 75,
        "minVizWidth": 75,
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "sizing": "auto",
    }
    return GaugePanel(
        **framed(title, description, frame, width=8, height=6),
        targets=lettered(targets),
        format=unit,
        min=least,
        max=most,
        thresholds=list(steps),
        extraJson={
            "fieldConfig": {"defaults": {"color": {"mode": "thresholds"}, "noValue": _NO_VALUE}},
            "options": options,
        },
    )
