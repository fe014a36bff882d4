"""What is wrong with a PromQL expression, by the tables of metrics: for dashboards, rules and runbooks alike.

An expression is parsed, and each part of it is followed with the labels that it has: a name or label that does not
exist, a value that a label never has, a sum over what every web process repeats, or two sides that can never match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import promql_parser as promql

from app.metrics import AGENTS, METRICS, Metric
from app.promql import TARGET_LABELS, Series
from app.recorded_series import RECORDED
from monitoring.foreign_metrics import FIRING, FOREIGN

_TABLES: tuple[Series, ...] = (*METRICS, *RECORDED, *FOREIGN)
_SERIES = {series.name: series for series in _TABLES}
_SUFFIXES = ("_bucket", "_count", "_sum")
#: Functions of growth, which mean something for counters only.
_GROWTH = frozenset({"rate", "increase", "irate", "resets"})
_SET_OPERATORS = frozenset({"and", "or", "unless"})
#: A regular expression that only lists values.
_ALTERNATIVES = re.compile(r"[\w-]+(\|[\w-]+)*")


def problems(expression: str) -> list[str]:
    """Return what is wrong with the expression; variables of Grafana are to be filled in before."""
    return _read(expression)[1].problems


def labels_of(expression: str) -> frozenset[str]:
    """Return the labels that the result can have.

    Raises:
        ValueError: Something is wrong with the expression.
    """
    vector, reader = _read(expression)
    if reader.problems:
        raise ValueError(f"{expression}: {'; '.join(reader.problems)}")
    return frozenset() if vector is None else vector.labels


def series_in(expression: str) -> frozenset[str]:
    """Return the names of the metrics and recorded series in it, a histogram by the name in the table."""
    return frozenset(
        found[0].name for selector in selectors(expression) if (found := _found(selector.name or "")) is not None
    )


def selectors(expression: str) -> list[promql.VectorSelector]:
    """Return every selector in it; none when it cannot be parsed."""
    try:
        parsed = promql.parse(expression)
    except ValueError:
        return []
    found: list[promql.VectorSelector] = []

    def keep(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(parsed, keep)
    return found


@dataclass(frozen=True)
class _Vector:
    """What a part of an expression results in: the labels that it can have, and whether it is a level as scraped."""

    labels: frozenset[str]
    repeated: bool = False
    counter: bool = False


def _read(expression: str) -> tuple[_Vector | None, _Reader]:
    reader = _Reader()
    try:
        parsed = promql.parse(expression)
    except ValueError as exc:
        reader.problems.append(f"cannot be parsed: {exc}")
        return None, reader
    return reader.vector(parsed), reader


def _found(name: str) -> tuple[Series, str] | None:
    """Return the series of this name and the suffix that was added; None when there is none."""
    if name in _SERIES:
        return _SERIES[name], ""
    for suffix in _SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in _SERIES:
            return _SERIES[base], suffix
    return None


class _Reader:
    """Follows the labels through an expression and collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def vector(self, node: object) -> _Vector | None:
        """Return what the part results in; None for a number or a text."""
        result: _Vector | None = None
        match node:
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                result = self.vector(node.expr)
            case promql.MatrixSelector():
                result = self._selector(node.vector_selector)
            case promql.VectorSelector():
                result = self._selector(node)
            case promql.AggregateExpr():
                result = self._aggregate(node)
            case promql.Call():
                result = self._call(node)
            case promql.BinaryExpr():
                result = self._binary(node)
        return result

    def _selector(self, node: promql.VectorSelector) -> _Vector:
        name = node.name or ""
        found = _found(name)
        if found is None:
            self.problems.append(f"there is no series {name or 'without a name'}")
            return _Vector(TARGET_LABELS)
        series, suffix = found
        is_histogram = isinstance(series, Metric) and series.kind == "histogram"
        if is_histogram != bool(suffix):
            self.problems.append(f"{name}: a histogram has _bucket, _count and _sum, and nothing else has")
        for matcher in node.matchers.matchers:
            self._matcher(series, suffix, matcher)
        return _Vector(
            _labels(series, suffix),
            repeated=isinstance(series, Metric) and series.level,
            counter=isinstance(series, Metric) and series.kind != "gauge",
        )

    def _matcher(self, series: Series, suffix: str, matcher: promql.Matcher) -> None:
        if matcher.name not in _labels(series, suffix):
            self.problems.append(f"{series.name} has no label {matcher.name}")
            return
        known = _values(series, matcher.name)
        listed = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
        if known is None or (listed and not _ALTERNATIVES.fullmatch(matcher.value)):
            return
        for value in matcher.value.split("|") if listed else [matcher.value]:
            if value not in known:
                self.problems.append(f"{series.name}: label {matcher.name} is never {value!r}")

    def _aggregate(self, node: promql.AggregateExpr) -> _Vector:
        inner = self.vector(node.expr) or _Vector(frozenset())
        self.vector(node.param)
        operator = str(node.op)
        if inner.repeated and operator in {"sum", "count"}:
            self.problems.append(f"{operator} over a level, which every web process repeats: take max by first")
        if node.modifier is None:
            return _Vector(frozenset())
        named = frozenset(node.modifier.labels)
        self._require(named, inner, f"{operator} by or without")
        if operator in {"topk", "bottomk"}:
            return inner
        return _Vector(named if node.modifier.type == promql.AggModifierType.By else inner.labels - named)

    def _call(self, node: promql.Call) -> _Vector | None:
        name = node.func.name
        arguments = [self.vector(argument) for argument in node.args]
        vectors = [argument for argument in arguments if argument is not None]
        if name in {"vector", "time", "scalar"} or not vectors:
            return _Vector(frozenset()) if name == "vector" else None
        inner = vectors[0]
        if name in _GROWTH and not inner.counter:
            self.problems.append(f"{name} of what is no counter")
        if name in {"absent", "absent_over_time"}:
            return _Vector(_fixed(node.args[0]))
        if name == "histogram_quantile":
            self._require(frozenset({"le"}), inner, name)
            return _Vector(inner.labels - {"le"})
        if name in {"label_replace", "label_join"}:
            return _Vector(inner.labels | {node.args[1].val}, repeated=inner.repeated)
        return _Vector(inner.labels, repeated=inner.repeated)

    def _binary(self, node: promql.BinaryExpr) -> _Vector | None:
        left, right = self.vector(node.lhs), self.vector(node.rhs)
        if left is None or right is None:
            return left or right
        operator, modifier = str(node.op), node.modifier
        matching = None if modifier is None else modifier.matching
        shared = left.labels
        if matching is not None:
            named = frozenset(matching.labels)
            on = matching.type == promql.LabelModifierType.Include
            self._require(named, left, f"left of {operator}")
            self._require(named, right, f"right of {operator}")
            shared = named if on else left.labels - named
        elif operator != "or" and left.labels != right.labels:
            differ = ", ".join(sorted(left.labels ^ right.labels))
            self.problems.append(f"the sides of {operator} can never match: only one has {differ}")
        return _Vector(self._joined(operator, modifier, left, right, shared), repeated=left.repeated)

    def _joined(
        self,
        operator: str,
        modifier: promql.BinModifier | None,
        left: _Vector,
        right: _Vector,
        shared: frozenset[str],
    ) -> frozenset[str]:
        """Return the labels of what two sides make."""
        if operator in _SET_OPERATORS:
            return left.labels | right.labels if operator == "or" else left.labels
        many = None if modifier is None else modifier.card
        if modifier is None or many == promql.VectorMatchCardinality.OneToOne:
            return shared
        more, less = (left, right) if many == promql.VectorMatchCardinality.ManyToOne else (right, left)
        taken = frozenset(modifier.group_labels or ())
        self._require(taken, less, f"{operator} group")
        return more.labels | taken

    def _require(self, labels: frozenset[str], inner: _Vector, where: str) -> None:
        for label in sorted(labels - inner.labels):
            self.problems.append(f"{where}: nothing there has a label {label}")


def _labels(series: Series, suffix: str) -> frozenset[str]:
    """Return every label: a recorded series and an alert keep of the target's only the environment."""
    outer = TARGET_LABELS if isinstance(series, Metric) and series is not FIRING else frozenset({"environment"})
    return frozenset(series.labels) | outer | (frozenset({"le"}) if suffix == "_bucket" else frozenset())


def _values(series: Series, label: str) -> frozenset[str] | None:
    """Return the values that a label can have; None when they are known at run time only."""
    if label == "le" and isinstance(series, Metric):
        return frozenset({*(str(float(bound)) for bound in series.buckets), "+Inf"})
    values = series.labels.get(label, ())
    return None if values is AGENTS or not values else frozenset(values)


def _fixed(node: object) -> frozenset[str]:
    """Return the labels that a selector fixes to one value, which are those that `absent` tells."""
    selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
    if not isinstance(selector, promql.VectorSelector):
        return frozenset()
    return frozenset(matcher.name for matcher in selector.matchers.matchers if matcher.op == promql.MatchOp.Equal)
