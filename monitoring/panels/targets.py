"""Queries of panels."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from string import ascii_uppercase
from typing import Any

from grafanalib.core import Target

#: Every panel, variable and annotation asks the data source that the reader has chosen.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

#: Legend that Grafana makes from the labels.
AUTO_LEGEND = "__auto"


class PTarget(Target):
    """A query of Prometheus: grafanalib's lacks `range` and `exemplar`, and halves the resolution."""

    #: Whether single observations are drawn too, each with the job that it belongs to.
    exemplar = False

    def to_json_data(self) -> dict[str, Any]:
        """Return the query as Grafana's own editor writes it."""
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "exemplar": self.exemplar,
            "expr": self.expr,
            "format": self.format,
            "instant": self.instant,
            "legendFormat": self.legendFormat,
            "range": not self.instant,
            "refId": self.refId,
        }


class ExemplarTarget(PTarget):
    """The same, with exemplars."""

    exemplar = True


def over_time(expression: str, legend: str = AUTO_LEGEND, *, exemplars: bool = False) -> PTarget:
    """Return a query for the whole of the chosen time."""
    return (ExemplarTarget if exemplars else PTarget)(expr=expression, legendFormat=legend)


def now(expression: str, legend: str = AUTO_LEGEND) -> PTarget:
    """Return a query for the end of the chosen time only."""
    return PTarget(expr=expression, legendFormat=legend, instant=True)


def rows_now(expression: str) -> PTarget:
    """Return a query for the end of the chosen time, one row for each series, its labels as columns."""
    return PTarget(expr=expression, legendFormat=AUTO_LEGEND, instant=True, format="table")


def buckets(expression: str) -> PTarget:
    """Return a query of a histogram's buckets, for a heatmap."""
    return PTarget(expr=expression, legendFormat="{{le}}", format="heatmap")


def lettered(targets: Sequence[PTarget]) -> list[PTarget]:
    """Return the queries with their letters, A to Z in this order.

    Raises:
        ValueError: More than 26 queries.
    """
    letters = ascii_uppercase[: len(targets)]
    return [_named(target, letter) for target, letter in zip(targets, letters, strict=True)]


def _named(target: PTarget, letter: str) -> PTarget:
    named = copy(target)
    named.refId = letter
    return named
