"""The metrics of one process, alive: counted here, and told when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from app.metrics import AGENTS, PIPELINE_METRICS, Metric
from app.shared_metrics import SharedMetrics, shared_directory


class LiveMetrics:
    """The metrics that this process counts, and the registry that tells them.

    The registry tells those of this process, with its memory, CPU time and open files; where processes share a
    directory (`app.shared_metrics`), those of all of them. `agents` are the configured names: the values of every
    `agent` label. Levels among the `metrics` are not counted here.

    Raises:
        ConfigurationError: The shared directory cannot be used.
    """

    def __init__(self, agents: Iterable[str] = (), metrics: Iterable[Metric] = PIPELINE_METRICS) -> None:
        # A `_created` series beside every counter and histogram: a third more to scrape, and nobody asks for it.
        disable_created_metrics()
        self.registry = CollectorRegistry()
        directory = shared_directory()
        self._shared = None if directory is None else SharedMetrics(directory)
        if self._shared is None:
            ProcessCollector(registry=self.registry)
        else:
            self.registry.register(self._shared)
        self._counted_in = self.registry if self._shared is None else None
        self._agents = tuple(agents)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in metrics:
            if not metric.level:
                self._create(metric)

    def close(self) -> None:
        """Take the gauges of this process away from those of the others."""
        if self._shared is not None:
            self._shared.close()

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[metric.name]
        (counter.labels(**self._closed(metric, labels)) if metric.labels else counter).inc(amount)

    def observe(self, metric: Metric, value: float, *, job_id: UUID | None = None, **labels: str) -> None:
        """Add one observation to a histogram; the last job of each bucket is told as its exemplar, and never a label.

        Exemplars are told in OpenMetrics only, and of processes that do not share a directory.
        """
        histogram = self._histograms[metric.name]
        exemplar = None if job_id is None else {"job_id": str(job_id)}
        (histogram.labels(**self._closed(metric, labels)) if metric.labels else histogram).observe(value, exemplar)

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
            created = self._counters[metric.name] = Counter(metric.name, metric.help, names, registry=self._counted_in)
        elif metric.kind == "gauge":
            assert metric.together is not None  # noqa: S101 -- a test of the table sees to it
            created = self._gauges[metric.name] = Gauge(
                metric.name, metric.help, names, multiprocess_mode=metric.together, registry=self._counted_in
            )
        else:
            created = self._histograms[metric.name] = Histogram(
                metric.name, metric.help, names, buckets=metric.buckets, registry=self._counted_in
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
