"""Series put on top of each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from monitoring.rendering.panels.marks import Layer


def stacked(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with those that stack lifted onto the ones before them, group by group.

    A series without a value at a time adds nothing there. In mode `percent` a group adds up to 1 at every time.
    """
    sums: dict[tuple[str, float], float] = defaultdict(float)
    totals = _totals(layers)
    return [_lifted(layer, sums, totals) for layer in layers]


def stack_group(layer: Layer) -> str:
    """Return the group that a layer stacks in, empty when it does not."""
    mode = layer.shown.display.custom("stacking.mode", "none")
    return "" if mode == "none" else f"{mode} {layer.shown.display.custom('stacking.group', 'A')}"


def _totals(layers: Iterable[Layer]) -> dict[tuple[str, float], float]:
    totals: dict[tuple[str, float], float] = defaultdict(float)
    for layer in layers:
        name = stack_group(layer)
        if name.startswith("percent"):
            for at, value, _ in layer.points:
                totals[name, at] += value if math.isfinite(value) else 0.0
    return totals


def _lifted(layer: Layer, sums: dict[tuple[str, float], float], totals: dict[tuple[str, float], float]) -> Layer:
    name = stack_group(layer)
    if not name:
        return layer
    points = []
    for at, value, _ in layer.points:
        whole = totals.get((name, at), 1.0) or 1.0
        base = sums[name, at]
        top = base + value / whole if math.isfinite(value) else value
        if math.isfinite(top):
            sums[name, at] = top
        points.append((at, top, base))
    return layer.with_points(points)
