"""What a panel's queries gave, and what they were."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.event_only import EVENT_ONLY
from monitoring.rendering.dashboard import Panel, Target
from monitoring.rendering.prometheus import Prometheus, QueryError
from monitoring.rendering.series import Series
from monitoring.rendering.time_range import TimeRange, seconds_of
from monitoring.rendering.variables import Variables

#: Panel types that show no data.
WITHOUT_DATA = frozenset({"text", "row"})
#: What the alert list asks: it shows alerts with any Prometheus.
FIRING = 'ALERTS{alertstate="firing"}'

_LABEL = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


@dataclass(frozen=True)
class Answer:
    """What one query gave: series, or the text of an error."""

    target: Target
    expr: str
    series: tuple[Series, ...] = ()
    error: str | None = None

    @property
    def points(self) -> int:
        """Number of samples in all series."""
        return sum(len(one.points) for one in self.series)

    @property
    def has_data(self) -> bool:
        """Whether there is anything to show; NaN alone is nothing."""
        return any(not math.isnan(value) for one in self.series for _, value in one.points)


@dataclass(frozen=True)
class PanelData:
    """One panel with the answers to its queries; `variables` know the panel's step."""

    panel: Panel
    answers: tuple[Answer, ...]
    when: TimeRange
    step: float
    variables: Variables

    @property
    def title(self) -> str:
        """The title with values in place of variables."""
        return self.variables.in_text(self.panel.title)

    @property
    def series(self) -> list[Series]:
        """All series of all queries, in the order of the queries."""
        return [one for answer in self.answers if not answer.target.hide for one in answer.series]

    @property
    def errors(self) -> list[str]:
        """What went wrong."""
        return [f"query {answer.target.ref_id}: {answer.error}" for answer in self.answers if answer.error]

    @property
    def is_empty(self) -> bool:
        """Whether the panel is there to show data and has none."""
        return self.panel.type not in WITHOUT_DATA and not any(answer.has_data for answer in self.answers)

    @property
    def may_be_empty(self) -> bool:
        """Whether it says of itself that no data is no fault."""
        return EVENT_ONLY in self.panel.description


def read_panel(
    panel: Panel, prometheus: Prometheus, when: TimeRange, variables: Variables, *, points: int
) -> PanelData:
    """Ask every query of a panel; one that is refused becomes an error of the panel.

    Args:
        panel: The panel.
        prometheus: Whom to ask.
        when: The time to show.
        variables: Their values.
        points: How many points a series may have, as the panel is about so many pixels wide.

    Raises:
        NetworkError, DeadlineExceededError: Prometheus does not answer.
    """
    step = when.step(points, least=seconds_of(variables.in_text(panel.interval)))
    answers = tuple(_answer(target, panel, prometheus, when, variables, points) for target in _targets(panel))
    return PanelData(panel, answers, when, step, variables.within(when, step))


def _targets(panel: Panel) -> tuple[Target, ...]:
    if panel.type == "alertlist" and not panel.targets:
        return (Target(expr=FIRING, instant=True, format="table"),)
    return () if panel.type in WITHOUT_DATA else panel.targets


def _answer(
    target: Target, panel: Panel, prometheus: Prometheus, when: TimeRange, variables: Variables, points: int
) -> Answer:
    least = max(seconds_of(variables.in_text(text)) for text in (panel.interval, target.interval))
    step = when.step(points, least=least)
    known = variables.within(when, step)
    expr = known.in_query(target.expr)
    try:
        if target.instant and not target.range:
            found = prometheus.instant(expr, when.end)
        else:
            found = prometheus.range(expr, *when.aligned(step), step)
    except QueryError as error:
        return Answer(target, expr, error=str(error))
    return Answer(target, expr, tuple(_named(one, target, known) for one in found))


def _named(series: Series, target: Target, variables: Variables) -> Series:
    """Return the series under the name that its legend format gives it."""
    name = _legend(series.labels, target.legend_format, variables)
    return Series(target.ref_id, series.labels, series.points, series.step_seconds, name)


def _legend(labels: Mapping[str, str], pattern: str, variables: Variables) -> str:
    if pattern and pattern != "__auto":
        return _LABEL.sub(lambda match: labels.get(match[1], ""), variables.in_text(pattern))
    metric = labels.get("__name__", "")
    own = {key: value for key, value in labels.items() if key != "__name__"}
    if pattern == "__auto" and len(own) == 1 and not metric:
        return next(iter(own.values()))
    pairs = ", ".join(f'{key}="{value}"' for key, value in sorted(own.items()))
    return f"{metric}{{{pairs}}}" if pairs else metric or "Value"
