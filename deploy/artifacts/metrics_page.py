"""docs/reference/metrics.md, from `app.metrics` and `app.recorded_series`."""

from __future__ import annotations

from collections.abc import Mapping

from app.metrics import AGENTS, METRICS, Metric
from app.recorded_series import RECORDED
from deploy.artifacts.markdown import code, number, page, table

_INTRODUCTION = """\
`GET /api/metrics` answers these in the text format of Prometheus; [read the metrics](../howto/metrics.md) says what \
to scrape.
Times are in seconds, sizes in bytes.
Label values are closed sets: every combination exists from the start, and no id is ever a label.
A *level* is read from the database or from Redis when it is scraped: it survives restarts, and no sum is needed.
A gauge that is no level is that of one process.
The relay tells those that begin with `marketplace_relay_`, `marketplace_build_info` and \
`marketplace_unexpected_errors_total`, at `/metrics` on its own port; the other processes tell the rest.
Of processes that count into one directory such gauges are *added up*, or the *highest* is told; dead processes have \
none."""

_BESIDE = """\
## Beside the table

A process that tells its metrics for itself tells these too: `process_virtual_memory_bytes`,
`process_resident_memory_bytes`, `process_start_time_seconds`, `process_cpu_seconds_total`, `process_open_fds` and
`process_max_fds`.
In OpenMetrics, `marketplace_job_duration_seconds`, `marketplace_job_completion_seconds` and
`marketplace_agent_call_duration_seconds` then have exemplars with the label `job_id`."""

_RECORDED = """\
## Recorded series

Prometheus writes these itself, by recording rules; each one keeps the label `environment`."""

_TOGETHER = {"livesum": "gauge, added up", "livemax": "gauge, highest"}


def metrics_page() -> str:
    """Return the page."""
    rows = [[code(metric.name), _kind(metric), _labels(metric.labels), f"{metric.help}."] for metric in METRICS]
    buckets = {metric.buckets: [m.name for m in METRICS if m.buckets == metric.buckets] for metric in METRICS}
    return page(
        "Metrics",
        _INTRODUCTION,
        table(["Name", "Type", "Labels", "Meaning"], rows),
        _BESIDE,
        "## Buckets",
        table(
            ["Upper bounds", "Histograms"],
            [
                [", ".join(map(number, bounds)), ", ".join(map(code, names))]
                for bounds, names in buckets.items()
                if bounds
            ],
        ),
        _RECORDED,
        table(
            ["Name", "Labels", "Meaning"],
            [[code(series.name), _labels(series.labels), f"{series.help}."] for series in RECORDED],
        ),
    )


def _kind(metric: Metric) -> str:
    if metric.together is not None:
        return _TOGETHER[metric.together]
    return f"{metric.kind}, level" if metric.level else metric.kind


def _labels(labels: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(
        f"{code(name)}: " + ("the configured agents" if values is AGENTS else ", ".join(map(code, values)))
        for name, values in labels.items()
    )
