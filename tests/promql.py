"""What an expression names, as a parser of PromQL sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql

from app.metrics import METRICS
from app.promql import TARGET_LABELS
from app.recorded_series import RECORDED, UP


@dataclass(frozen=True)
class Selector:
    """One series that is selected, and the labels by which."""

    name: str
    labels: frozenset[str]


def selectors(expression: str) -> list[Selector]:
    """Every selector in an expression.

    Raises:
        ValueError: It is no PromQL.
    """
    return list(_walk(promql.parse(expression)))


def _walk(node: promql.Expr) -> Iterator[Selector]:
    if isinstance(node, promql.VectorSelector):
        yield Selector(node.name or "", frozenset(matcher.name for matcher in node.matchers.matchers))
    elif isinstance(node, promql.MatrixSelector):
        yield from _walk(node.vector_selector)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _walk(argument)
    elif isinstance(node, promql.BinaryExpr):
        yield from _walk(node.lhs)
        yield from _walk(node.rhs)
    elif isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.SubqueryExpr | promql.UnaryExpr):
        yield from _walk(node.expr)


def _known() -> dict[str, frozenset[str]]:
    known = {series.name: frozenset(series.labels) for series in (*RECORDED, UP)}
    for metric in METRICS:
        parts = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        for part in parts:
            known[metric.name + part] = frozenset(metric.labels) | ({"le"} if part == "_bucket" else set())
    # Written by Prometheus itself while an alert fires.
    known["ALERTS"] = frozenset({"alertname", "alertstate", "severity", "type"})
    return known


#: Labels of every series that there is, besides those of targets.
KNOWN = _known()


def unknown_in(expression: str) -> list[str]:
    """What an expression names that no table has: series, or labels of them."""
    problems = []
    for selector in selectors(expression):
        if selector.name not in KNOWN:
            problems.append(selector.name)
        else:
            known = KNOWN[selector.name] | TARGET_LABELS
            problems += [f"{selector.name}: {label}" for label in selector.labels - known]
    return problems
