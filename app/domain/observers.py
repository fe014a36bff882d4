"""The processes that watch the product: values of the label `job` of their targets."""

from __future__ import annotations

PROMETHEUS_JOB = "prometheus"
ALERTMANAGER_JOB = "alertmanager"
RELAY_JOB = "marketplace-relay"

OBSERVER_JOBS = frozenset({PROMETHEUS_JOB, ALERTMANAGER_JOB, RELAY_JOB})
