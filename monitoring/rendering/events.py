"""Annotations: moments and spans that every chart over time shows as lines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from monitoring.rendering.dashboard import Annotation
from monitoring.rendering.drawing import Event
from monitoring.rendering.prometheus import Prometheus
from monitoring.rendering.series import Series
from monitoring.rendering.theme import paint
from monitoring.rendering.time_range import TimeRange
from monitoring.rendering.variables import Variables

#: Events that one query draws; more would hide the chart.
MAX_EVENTS = 200
#: Points over time that an annotation is asked for.
_POINTS = 1000

_LABEL = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


def events_query(annotation: Annotation, when: TimeRange, variables: Variables) -> tuple[str, float]:
    """Return an annotation's expression with values in place of variables, and its step in seconds."""
    step = when.step(_POINTS)
    return variables.within(when, step).in_query(annotation.query), step


def read_events(
    annotation: Annotation, prometheus: Prometheus, when: TimeRange, variables: Variables
) -> tuple[list[Series], list[Event]]:
    """Return the series of an annotation, and its events: each stretch in which a series is above 0 is one.

    Raises:
        QueryError: Prometheus refuses the query.
        NetworkError, DeadlineExceededError: It does not answer.
    """
    expr, step = events_query(annotation, when, variables)
    found = prometheus.range(expr, *when.aligned(step), step)
    events = [event for series in found for event in _events(annotation, series, step, variables)]
    return found, sorted(events, key=lambda event: (event.start, event.text))[-MAX_EVENTS:]


def _events(annotation: Annotation, series: Series, step: float, variables: Variables) -> Iterator[Event]:
    name = _filled(annotation.title_format, series, variables) or annotation.name
    text = _filled(annotation.text_format, series, variables) or ", ".join(
        f"{label}={value}" for label, value in sorted(series.labels.items()) if label != "__name__"
    )
    times = [at for at, value in series.points if math.isfinite(value) and value > 0]
    start = last = None
    for at in times:
        if last is not None and start is not None and at - last > step * 1.5:
            yield Event(start, last, name, text, paint(annotation.icon_color))
            start = None
        start, last = (at if start is None else start), at
    if start is not None and last is not None:
        yield Event(start, last, name, text, paint(annotation.icon_color))


def _filled(pattern: str, series: Series, variables: Variables) -> str:
    return _LABEL.sub(lambda match: series.labels.get(match[1], ""), variables.in_text(pattern))
