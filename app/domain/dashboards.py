"""The dashboards: what alerts link to, by the uid that Grafana knows them by."""

from __future__ import annotations

from enum import StrEnum


class Dashboard(StrEnum):
    """One dashboard; the value is its uid. A panel that belongs to an alert says so by the alert's name."""

    OVERVIEW = "marketplace-overview"
    QUEUE_AND_JOBS = "marketplace-queue-and-jobs"
    AGENTS_AND_BREAKERS = "marketplace-agents-and-breakers"
    REDIS_AND_RUNTIME = "marketplace-redis-and-runtime"
    SLO_AND_SLA = "marketplace-slo-and-sla"
    ALERT_PIPELINE = "marketplace-alert-pipeline"
