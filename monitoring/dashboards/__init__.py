"""The dashboards, one file each, made of `monitoring.rows`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grafanalib.core import Dashboard

from monitoring.dashboards.agents_and_breakers import agents_and_breakers
from monitoring.dashboards.alert_pipeline import alert_pipeline
from monitoring.dashboards.overview import overview
from monitoring.dashboards.queue_and_jobs import queue_and_jobs
from monitoring.dashboards.redis_and_runtime import redis_and_runtime
from monitoring.dashboards.slo_and_sla import slo_and_sla

#: Every dashboard, by the name of its file.
DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "overview": overview,
    "queue-and-jobs": queue_and_jobs,
    "agents-and-breakers": agents_and_breakers,
    "redis-and-runtime": redis_and_runtime,
    "slo-and-sla": slo_and_sla,
    "alert-pipeline": alert_pipeline,
}
