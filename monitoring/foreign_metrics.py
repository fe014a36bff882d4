"""Metrics that are not ours and that dashboards and rules use: of Prometheus, Alertmanager and every process.

Names and labels are those of Prometheus 2.42 and Alertmanager 0.25, read from their `/metrics`, and documented in
https://prometheus.io/docs/concepts/jobs_instances/ (`up`, `scrape_*`),
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ (`ALERTS`) and
https://prometheus.github.io/client_python/collector/ (`process_*`).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.alerts import ALERTS as CATALOGUE
from app.domain.alerts import AlertType, Severity
from app.metrics import Metric


@dataclass(frozen=True)
class ForeignMetric(Metric):
    """A metric of somebody else; a label without values can have any."""


FIRING = ForeignMetric(
    "ALERTS",
    "gauge",
    "1 for every alert that is pending or fires",
    {
        "alertname": tuple(alert.name for alert in CATALOGUE),
        "alertstate": ("pending", "firing"),
        "severity": tuple(Severity),
        "type": tuple(AlertType),
    },
)
UP = ForeignMetric("up", "gauge", "1 when the last scrape of this target worked, else 0")
SCRAPE_DURATION = ForeignMetric("scrape_duration_seconds", "gauge", "Time that the last scrape of this target took")
SCRAPE_SAMPLES = ForeignMetric("scrape_samples_scraped", "gauge", "Samples that this target gave")

RULE_FAILURES = ForeignMetric(
    "prometheus_rule_evaluation_failures_total", "counter", "Rules that could not be evaluated", {"rule_group": ()}
)
RULE_DURATION = ForeignMetric(
    "prometheus_rule_group_last_duration_seconds",
    "gauge",
    "Time that the last evaluation of this group took",
    {"rule_group": ()},
)
RULE_EVALUATED = ForeignMetric(
    "prometheus_rule_group_last_evaluation_timestamp_seconds",
    "gauge",
    "When this group was last evaluated, in Unix seconds",
    {"rule_group": ()},
)
ALERTS_SENT = ForeignMetric(
    "prometheus_notifications_sent_total", "counter", "Alerts sent to an Alertmanager", {"alertmanager": ()}
)
ALERTS_ERRORS = ForeignMetric(
    "prometheus_notifications_errors_total", "counter", "Alerts that an Alertmanager did not take", {"alertmanager": ()}
)
ALERTS_DROPPED = ForeignMetric(
    "prometheus_notifications_dropped_total", "counter", "Alerts that were given up before any Alertmanager took them"
)
ALERTS_QUEUED = ForeignMetric("prometheus_notifications_queue_length", "gauge", "Alerts that wait to be sent")
NOTIFICATIONS = ForeignMetric(
    "alertmanager_notifications_total", "counter", "Notifications tried, by kind of receiver", {"integration": ()}
)
NOTIFICATIONS_FAILED = ForeignMetric(
    "alertmanager_notifications_failed_total",
    "counter",
    "Notifications that no receiver took, by kind of receiver",
    {"integration": ()},
)
ALERTS_HELD = ForeignMetric(
    "alertmanager_alerts",
    "gauge",
    "Alerts that the Alertmanager holds, by state",
    {"state": ("active", "suppressed", "unprocessed")},
)

MEMORY = ForeignMetric("process_resident_memory_bytes", "gauge", "Memory that a process uses")
CPU = ForeignMetric("process_cpu_seconds_total", "counter", "Processor time that a process has used")
FILES = ForeignMetric("process_open_fds", "gauge", "Files and connections that a process has open")
FILES_MAX = ForeignMetric("process_max_fds", "gauge", "Files and connections that a process may have open")

FOREIGN: tuple[ForeignMetric, ...] = (
    FIRING,
    UP,
    SCRAPE_DURATION,
    SCRAPE_SAMPLES,
    RULE_FAILURES,
    RULE_DURATION,
    RULE_EVALUATED,
    ALERTS_SENT,
    ALERTS_ERRORS,
    ALERTS_DROPPED,
    ALERTS_QUEUED,
    NOTIFICATIONS,
    NOTIFICATIONS_FAILED,
    ALERTS_HELD,
    MEMORY,
    CPU,
    FILES,
    FILES_MAX,
)
