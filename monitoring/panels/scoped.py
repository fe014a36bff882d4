"""Expressions within what the reader has chosen: environment, queues and agents, over the window that fits the zoom.

Each result keeps the label `environment`, so that two installations in one Prometheus are never mixed.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.breaker import CircuitState
from app.metrics import BREAKER_STATE, Metric
from app.promql import MATCHES, Series, Suffix, increase, level, max_by, quantile, rate, select, sum_by
from monitoring.foreign_metrics import FIRING

#: At least four scrapes, and at least one step of the chart: Grafana fills it in.
WINDOW = "$__rate_interval"
#: The whole of the chosen time.
CHOSEN_TIME = "$__range"

#: Variables that narrow every series with the label of the same name.
_CHOSEN = ("queue", "agent")


def series(what: Series, suffix: Suffix = "", /, **labels: str) -> str:
    """Return a selector within the choice."""
    return select(what, suffix, **_narrowed(what, labels))


def per_second(by: Iterable[str], what: Series, suffix: Suffix = "", /, window: str = WINDOW, **labels: str) -> str:
    """Return how fast a counter grows, all processes together."""
    return sum_by(("environment", *by), rate(what, window, suffix, **_narrowed(what, labels)))


def grown(by: Iterable[str], what: Series, suffix: Suffix = "", /, window: str = CHOSEN_TIME, **labels: str) -> str:
    """Return by how much a counter grew, all processes together."""
    return sum_by(("environment", *by), increase(what, window, suffix, **_narrowed(what, labels)))


def level_now(by: Iterable[str], what: Metric, **labels: str) -> str:
    """Return a level, told by the web processes alike."""
    return level(what, ("environment", *by), **_narrowed(what, labels))


def level_total(by: Iterable[str], what: Metric, **labels: str) -> str:
    """Return the total of a level over what it is counted by, or all of it but `by`."""
    return sum_by(("environment", *by), level_now(what.labels, what, **labels))


def greatest(by: Iterable[str], what: Series, **labels: str) -> str:
    """Return the greatest of a gauge."""
    return max_by(("environment", *by), series(what, **labels))


def total(by: Iterable[str], what: Metric, **labels: str) -> str:
    """Return the total of a gauge that each process tells of itself.

    Raises:
        ValueError: The metric is a level, which every web process repeats.
    """
    if what.level:
        raise ValueError(f"{what.name} is a level: see level_total")
    return sum_by(("environment", *by), series(what, **labels))


def quantile_of(share: float, by: Iterable[str], what: Metric, window: str = WINDOW, **labels: str) -> str:
    """Return a quantile of a histogram."""
    return quantile(share, what, window, ("environment", *by), **_narrowed(what, labels))


def mean_of(by: Iterable[str], what: Metric, window: str = WINDOW, **labels: str) -> str:
    """Return the mean of a histogram's observations."""
    by = tuple(by)
    return ratio(per_second(by, what, "_sum", window, **labels), per_second(by, what, "_count", window, **labels))


def ratio(part: str, whole: str) -> str:
    """Return one expression divided by another; both have the same labels."""
    return f"{part} / {whole}"


def named_groups(expression: str) -> str:
    """Return the expression with a label `group`: Prometheus' own `rule_group` begins with the path of the file."""
    return f'label_replace({expression}, "group", "$1", "rule_group", ".*;(.*)")'


def circuit_states() -> str:
    """Return 0, 1 or 2 for each agent: closed, half open, open."""
    opened = level_now(("agent",), BREAKER_STATE, state=CircuitState.OPEN)
    probing = level_now(("agent",), BREAKER_STATE, state=CircuitState.HALF_OPEN)
    return f"2 * {opened} + {probing}"


def _narrowed(what: Series, labels: dict[str, str]) -> dict[str, str]:
    # An alert on what is absent has no labels of a target.
    environment = f"{MATCHES}$environment|" if what is FIRING else f"{MATCHES}$environment"
    chosen = {name: f"{MATCHES}${name}" for name in _CHOSEN if name in what.labels}
    return {"environment": environment} | chosen | labels
