"""docs/reference/metrics.md, from `app.metrics`."""

from __future__ import annotations

from app.metrics import AGENTS, METRICS, Metric
from deploy.artifacts.markdown import code, number, page, table

_INTRODUCTION = """\
`GET /api/metrics` answers these in the text format of Prometheus.
Times are in seconds, sizes in bytes.
Label values are closed sets: every combination exists from the start, and no id is ever a label.
A *level* is read from the database or from Redis when it is scraped: it survives restarts, and no sum is needed."""


def metrics_page() -> str:
    """Return the page."""
    rows = [[code(metric.name), _kind(metric), _labels(metric), f"{metric.help}."] for metric in METRICS]
    buckets = {metric.buckets: [m.name for m in METRICS if m.buckets == metric.buckets] for metric in METRICS}
    return page(
        "Metrics",
        _INTRODUCTION,
        table(["Name", "Type", "Labels", "Meaning"], rows),
        "## Buckets",
        table(
            ["Upper bounds", "Histograms"],
            [
                [", ".join(map(number, bounds)), ", ".join(map(code, names))]
                for bounds, names in buckets.items()
                if bounds
            ],
        ),
    )


def _kind(metric: Metric) -> str:
    return f"{metric.kind}, level" if metric.level else metric.kind


def _labels(metric: Metric) -> str:
    return "; ".join(
        f"{code(name)}: " + ("the configured agents" if values is AGENTS else ", ".join(map(code, values)))
        for name, values in metric.labels.items()
    )
