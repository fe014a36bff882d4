"""A dashboard with everything that Prometheus says of it, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.rendering.dashboard import Annotation, Dashboard
from monitoring.rendering.drawing import Event
from monitoring.rendering.events import events_query, read_events
from monitoring.rendering.layout import Section, body_of, box_of, sections
from monitoring.rendering.panel_data import PanelData, read_panel
from monitoring.rendering.prometheus import Prometheus, QueryError
from monitoring.rendering.time_range import TimeRange
from monitoring.rendering.variables import Variables, read_variables


@dataclass(frozen=True)
class AnnotationAnswer:
    """One annotation's query, and what became of it."""

    annotation: Annotation
    expr: str
    events: tuple[Event, ...] = ()
    series: int = 0
    points: int = 0
    error: str | None = None


@dataclass(frozen=True)
class ReadSection:
    """A section with the data of its panels."""

    section: Section
    panels: tuple[PanelData, ...]


@dataclass(frozen=True)
class ReadDashboard:
    """One dashboard with its data; `name` is that of its file."""

    name: str
    dashboard: Dashboard
    when: TimeRange
    variables: Variables
    sections: tuple[ReadSection, ...]
    annotations: tuple[AnnotationAnswer, ...]
    variable_errors: Mapping[str, str]

    @property
    def panels(self) -> list[PanelData]:
        """Every panel, those of collapsed rows too."""
        return [panel for section in self.sections for panel in section.panels]

    @property
    def events(self) -> list[Event]:
        """All events, in order of time."""
        found = [event for answer in self.annotations for event in answer.events]
        return sorted(found, key=lambda event: (event.start, event.name, event.text))

    @property
    def data_until(self) -> float | None:
        """Time of the last point of any line, in Unix seconds; None without any. Instants are always of the end."""
        lines = (one for panel in self.panels for one in panel.series if one.step_seconds and one.points)
        return max((one.points[-1][0] for one in lines), default=None)

    @property
    def query_errors(self) -> list[str]:
        """Every query that failed, with its place."""
        return [
            *(f"{self.name}: variable {name!r}: {error}" for name, error in self.variable_errors.items()),
            *(f"{self.name}: panel {panel.title!r}: {error}" for panel in self.panels for error in panel.errors),
            *(f"{self.name}: annotation {a.annotation.name!r}: {a.error}" for a in self.annotations if a.error),
        ]

    @property
    def empty_panels(self) -> list[str]:
        """Every panel that has no data, no failed query, and does not say that this is no fault."""
        return [
            f"{self.name}: panel {panel.title!r} has no data"
            for panel in self.panels
            if panel.is_empty and not panel.may_be_empty and not panel.errors
        ]


def read(
    name: str,
    dashboard: Dashboard,
    prometheus: Prometheus,
    when: TimeRange,
    given: Mapping[str, Sequence[str]],
    *,
    width: float,
) -> ReadDashboard:
    """Ask everything that a dashboard shows.

    Args:
        name: What to call it in messages.
        dashboard: What to show.
        prometheus: Whom to ask.
        when: The time to show.
        given: Values of variables; names that this dashboard does not have are not for it.
        width: Pixels of the page: a series has about a point for each.

    Raises:
        InvalidInputError: The dashboard asks for something that we cannot do.
        NetworkError, DeadlineExceededError: Prometheus does not answer.
    """
    variables, variable_errors = read_variables(dashboard.templating.list, given, prometheus, when)
    found = tuple(
        ReadSection(
            section,
            tuple(
                read_panel(
                    panel,
                    prometheus,
                    when,
                    variables,
                    points=max(int(body_of(box_of(panel.grid_pos, width, top=section.top)).width), 50),
                )
                for panel in section.panels
            ),
        )
        for section in sections(dashboard)
    )
    annotations = tuple(
        _annotation(one, prometheus, when, variables) for one in dashboard.annotations.list if one.enable and one.query
    )
    return ReadDashboard(name, dashboard, when, variables, found, annotations, variable_errors)


def _annotation(
    annotation: Annotation, prometheus: Prometheus, when: TimeRange, variables: Variables
) -> AnnotationAnswer:
    expr, _ = events_query(annotation, when, variables)
    try:
        series, events = read_events(annotation, prometheus, when, variables)
    except QueryError as error:
        return AnnotationAnswer(annotation, expr, error=str(error))
    return AnnotationAnswer(annotation, expr, tuple(events), len(series), sum(len(s.points) for s in series))


def report(read_dashboard: ReadDashboard) -> list[dict[str, Any]]:
    """Return what `--json` prints of a dashboard's panels: each query as it was asked, and what it gave."""
    return [
        {
            "dashboard": read_dashboard.name,
            "panel": data.title,
            "panelId": data.panel.id,
            "type": data.panel.type,
            "eventOnly": data.may_be_empty,
            "empty": data.is_empty,
            "targets": [
                {
                    "refId": answer.target.ref_id,
                    "expr": answer.expr,
                    "series": len(answer.series),
                    "points": answer.points,
                    "error": answer.error,
                }
                for answer in data.answers
            ],
        }
        for data in read_dashboard.panels
    ] + [
        {
            "dashboard": read_dashboard.name,
            "panel": answer.annotation.name,
            "panelId": None,
            "type": "annotation",
            "eventOnly": True,
            "empty": not answer.points,
            "targets": [
                {
                    "refId": "Anno",
                    "expr": answer.expr,
                    "series": answer.series,
                    "points": answer.points,
                    "error": answer.error,
                }
            ],
        }
        for answer in read_dashboard.annotations
    ]
