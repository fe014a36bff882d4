"""PromQL out of the tables: an expression that names a metric or a label that does not exist cannot be written.

Labels of targets (`environment`, `job`, `instance`) are set by the scrape configuration, see `monitoring.scraping`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from app.metrics import AGENTS, METRICS, Metric
from app.recorded_series import RecordedSeries

#: Labels that every target has.
TARGET_LABELS = frozenset({"environment", "job", "instance"})

#: Starts a value that is a regular expression, as in PromQL itself.
MATCHES = "=~"

#: A regular expression that only lists values.
_LISTED = re.compile(r"[\w+-]+(\|[\w+-]+)*")

Series = Metric | RecordedSeries
Suffix = Literal["", "_bucket", "_count", "_sum"]
_SUFFIXES = get_args(Suffix)
_NAME = re.compile(r"\bmarketplace_\w+")


def select(series: Series, suffix: Suffix = "", /, **labels: str) -> str:
    """Return a selector of this series.

    A value that begins with `=~`, `!=` or `!~` says how it is compared; any other one must be equal.

    Raises:
        ValueError: The series has no such suffix or label, or the label never has such a value.

    >>> from app.metrics import JOB_LATENCY, QUEUE_PENDING
    >>> select(QUEUE_PENDING, queue="phase1-tasks")
    'marketplace_queue_pending_jobs{queue="phase1-tasks"}'
    >>> select(JOB_LATENCY, "_bucket", kind="phase1", le="5.0")
    'marketplace_job_completion_seconds_bucket{kind="phase1",le="5.0"}'
    """
    is_histogram = isinstance(series, Metric) and series.kind == "histogram"
    if bool(suffix) != is_histogram:
        raise ValueError(f"{series.name}: no series ends in {suffix!r}" if suffix else f"{series.name} is a histogram")
    matchers = ",".join(_matcher(series, suffix, name, value) for name, value in labels.items())
    return f"{series.name}{suffix}" + (f"{{{matchers}}}" if matchers else "")


def one_of(*values: str) -> str:
    """Return a value for `select` that matches each of these.

    >>> one_of("open", "half_open")
    '=~open|half_open'
    """
    return MATCHES + "|".join(values)


def rate(series: Series, window: str, suffix: Suffix = "", /, **labels: str) -> str:
    """Return the growth per second of a counter or of a part of a histogram.

    Raises:
        ValueError: As `select`; or the series is a gauge.
    """
    return f"rate({_growing(series, suffix, labels)}[{window}])"


def increase(series: Series, window: str, suffix: Suffix = "", /, **labels: str) -> str:
    """Return by how much a counter grew.

    Raises:
        ValueError: As `select`; or the series is a gauge.
    """
    return f"increase({_growing(series, suffix, labels)}[{window}])"


def sum_by(by: Iterable[str], expression: str) -> str:
    """Return the sum over all other labels: for what each process counts for itself."""
    return _aggregate("sum", by, expression)


def max_by(by: Iterable[str], expression: str) -> str:
    """Return the greatest over all other labels: for levels, which every web process repeats."""
    return _aggregate("max", by, expression)


def level(series: Metric, by: Iterable[str] = ("environment",), **labels: str) -> str:
    """Return a level once, although every web process tells it.

    Raises:
        ValueError: As `select`; or the metric is no level.

    >>> from app.metrics import QUEUE_PENDING
    >>> level(QUEUE_PENDING, ["environment", "queue"])
    'max by (environment, queue) (marketplace_queue_pending_jobs)'
    """
    if not series.level:
        raise ValueError(f"{series.name} is no level")
    return max_by(by, select(series, **labels))


def lasting(series: Metric, window: str, by: Iterable[str] = ("environment",), **labels: str) -> str:
    """Return the highest value that a level has had within the window, once.

    Raises:
        ValueError: As `level`.
    """
    if not series.level:
        raise ValueError(f"{series.name} is no level")
    return max_by(by, f"max_over_time({select(series, **labels)}[{window}])")


def labelled(expression: str, name: str, value: str) -> str:
    """Return the expression with one more label on all that it finds."""
    return f'label_replace({expression}, "{name}", "{value}", "", "")'


def quantile(share: float, series: Metric, window: str, by: Iterable[str] = (), **labels: str) -> str:
    """Return a quantile of a histogram, from the growth of its buckets within the window.

    Raises:
        ValueError: As `select`; or the metric is no histogram.
    """
    return f"histogram_quantile({share}, {sum_by((*by, 'le'), rate(series, window, '_bucket', **labels))})"


def named_metrics(expressions: Iterable[str]) -> frozenset[str]:
    """Return the names of our metrics that stand in these expressions.

    >>> sorted(named_metrics(["rate(marketplace_job_retries_count[5m]) > 0"]))
    ['marketplace_job_retries']
    """
    written = {name for expression in expressions for name in _NAME.findall(expression)}
    return frozenset(metric.name for metric in METRICS if written & {f"{metric.name}{suffix}" for suffix in _SUFFIXES})


def edge(series: Metric, bound: float) -> str:
    """Return an upper bound of the histogram as its label `le` has it: with a decimal point, as our client writes it.

    Raises:
        ValueError: The histogram has no such bound.
    """
    if bound not in series.buckets:
        raise ValueError(f"{series.name} has no bucket up to {bound}")
    return str(float(bound))


def _growing(series: Series, suffix: Suffix, labels: Mapping[str, str]) -> str:
    if not isinstance(series, Metric) or series.kind == "gauge":
        raise ValueError(f"{series.name} is no counter")
    return select(series, suffix, **labels)


def _aggregate(operation: str, by: Iterable[str], expression: str) -> str:
    return f"{operation} by ({', '.join(by)}) ({expression})"


def _matcher(series: Series, suffix: Suffix, name: str, value: str) -> str:
    operator, wanted = (value[:2], value[2:]) if value[:2] in {"=~", "!=", "!~"} else ("=", value)
    allowed = _allowed(series, suffix, name)
    named = {wanted} if operator in {"=", "!="} else set(wanted.split("|")) if _LISTED.fullmatch(wanted) else set()
    if allowed is not None and not named <= allowed:
        raise ValueError(f"{series.name}: {wanted!r} is no value of label {name}")
    escaped = wanted.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}{operator}"{escaped}"'


def _allowed(series: Series, suffix: Suffix, name: str) -> frozenset[str] | None:
    """Return the values that a label can have; None when they are known at run time only."""
    if name in TARGET_LABELS:
        return None
    if name == "le" and suffix == "_bucket" and isinstance(series, Metric):
        return frozenset({*(str(float(bound)) for bound in series.buckets), "+Inf"})
    if name not in series.labels:
        raise ValueError(f"{series.name} has no label {name}")
    values = series.labels[name]
    return None if values is AGENTS or not values else frozenset(values)
