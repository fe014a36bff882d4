"""The metrics of one process, alive: counted here, and told when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from app.metrics import AGENTS, METRICS, Metric


class LiveMetrics:
    """The metrics of one process, in a registry of its own.

    `agents` are the configured names: the values of every `agent` label.
    """

    def __init__(self, agents: Iterable[str] = (), registry: CollectorRegistry | None = None) -> None:
        # A `_created` series beside every counter and histogram: a third more to scrape, and nobody asks for it.
        disable_created_metrics()
        self.registry = registry or CollectorRegistry()
        self._agents = tuple(agents)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            if not metric.level:
                self._create(metric)

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[metric.name]
        (counter.labels(**self._closed(metric, labels)) if metric.labels else counter).inc(amount)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        histogram = self._histograms[metric.name]
        (histogram.labels(**self._closed(metric, labels)) if metric.labels else histogram).observe(value)

    def add(self, metric: Metric, amount: float, **labels: str) -> None:
        """Move a gauge up or down."""
        gauge = self._gauges[metric.name]
        (gauge.labels(**self._closed(metric, labels)) if metric.labels else gauge).inc(amount)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[metric.name]
        (gauge.labels(**self._closed(metric, labels)) if metric.labels else gauge).set(value)

    def _create(self, metric: Metric) -> None:
        names = tuple(metric.labels)
        created: Counter | Gauge | Histogram
        if metric.kind == "counter":
            created = self._counters[metric.name] = Counter(metric.name, metric.help, names, registry=self.registry)
        elif metric.kind == "gauge":
            created = self._gauges[metric.name] = Gauge(metric.name, metric.help, names, registry=self.registry)
        else:
            created = self._histograms[metric.name] = Histogram(
                metric.name, metric.help, names, buckets=metric.buckets, registry=self.registry
            )
        if names:
            for values in product(*(self._values(allowed) for allowed in metric.labels.values())):
                created.labels(*values)

    def _values(self, allowed: tuple[str, ...]) -> tuple[str, ...]:
        return self._agents if allowed is AGENTS else allowed

    def _closed(self, metric: Metric, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels with every value from its closed set; an unknown one becomes `other` where there is one."""
        closed = {}
        for name, value in labels.items():
            allowed = self._values(metric.labels[name])
            if value not in allowed and "other" not in allowed:
                raise ValueError(f"{metric.name}: {value!r} is no value of label {name}")
            closed[name] = value if value in allowed else "other"
        return closed
