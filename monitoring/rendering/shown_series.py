"""The series of a panel with how each is shown, bounded in number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.rendering.drawing import Legend, LegendEntry
from monitoring.rendering.field_display import FieldDisplay, display_for
from monitoring.rendering.panel_data import PanelData
from monitoring.rendering.panel_options import LegendOptions
from monitoring.rendering.series import REDUCTIONS, Series, reduction_title
from monitoring.rendering.theme import series_colour
from monitoring.rendering.variables import Value

#: Series that one panel draws; nobody can tell more apart.
MAX_SERIES = 60


@dataclass(frozen=True)
class ShownSeries:
    """One series, what the page calls it, its options and its colour."""

    series: Series
    name: str
    display: FieldDisplay
    colour: str


def shown_series(data: PanelData) -> tuple[list[ShownSeries], tuple[str, ...]]:
    """Return the series of a panel that are drawn, and what the reader must know of the others."""
    found = data.series
    shown = [_shown(one, index, data) for index, one in enumerate(found[:MAX_SERIES])]
    notes = (f"{MAX_SERIES} of {len(found)} series are shown",) if len(found) > MAX_SERIES else ()
    return [one for one in shown if not _is_hidden(one.display, "viz")], notes


def legend(shown: Sequence[ShownSeries], options: LegendOptions) -> Legend | None:
    """Return the legend that the options ask for, with the figures that they name."""
    if not options.show_legend or options.display_mode == "hidden":
        return None
    entries = tuple(
        LegendEntry(
            one.name,
            one.colour,
            tuple(one.display.text(REDUCTIONS[calculation](one.series)) for calculation in options.calcs),
        )
        for one in shown
        if not _is_hidden(one.display, "legend")
    )
    titles = tuple(map(reduction_title, options.calcs))
    return Legend(entries, titles, as_table=options.display_mode == "table") if entries else None


def _shown(series: Series, index: int, data: PanelData) -> ShownSeries:
    display = display_for(data.panel.field_config, series.name, ref_id=series.ref_id)
    colour = display.colour(REDUCTIONS["lastNotNull"](series)) or series_colour(index)
    return ShownSeries(series, _name(series, display, data), display, colour)


def _name(series: Series, display: FieldDisplay, data: PanelData) -> str:
    wanted = display.options.display_name
    if not wanted:
        return series.name
    for label, value in series.labels.items():
        wanted = wanted.replace(f"${{__field.labels.{label}}}", value)
    names = data.variables.with_value("__series", Value((series.name,))).with_value("__field", Value((series.name,)))
    return names.in_text(wanted)


def _is_hidden(display: FieldDisplay, where: str) -> bool:
    hidden: Any = display.custom(f"hideFrom.{where}", default=False)
    return bool(hidden)
