"""The catalogue of alerts: what may be wrong, how bad that is, and which page says what to do.

Rules, dashboards, runbooks and messages all name an alert by its entry here, so that one cause has one key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How soon a person should look."""

    INFO = "info"
    """Nobody has to: it is good to know."""
    WARNING = "warning"
    """During the working day."""
    CRITICAL = "critical"
    """Now, at night too."""


class AlertType(StrEnum):
    """What an alert is about; messages are formed and routed by it."""

    JOB_FAILED = "job_failed"
    CIRCUIT_OPENED = "circuit_opened"
    QUEUE_BACKED_UP = "queue_backed_up"
    RECOVERY_SUCCESS = "recovery_success"
    PLANS_STUCK = "plans_stuck"
    JOBS_LOST = "jobs_lost"
    WORKERS_SHORT = "workers_short"
    DEPENDENCY_DOWN = "dependency_down"
    FALLBACK_ACTIVE = "fallback_active"
    API_FAILING = "api_failing"
    MONITORING = "monitoring"


@dataclass(frozen=True)
class Alert:
    """One alert; its runbook is docs/runbooks/`name`.md."""

    name: str
    type: AlertType
    severity: Severity
    #: The labels that, beside the environment, tell one issue from another.
    subject: tuple[str, ...] = ()
    #: What alerts on one cause share, so that the worse one is a rise in severity and not a second issue.
    issue: str = ""


QUEUE_BACKED_UP = Alert(
    "MarketplaceQueueBackedUp",
    AlertType.QUEUE_BACKED_UP,
    Severity.WARNING,
    subject=("queue",),
    issue="MarketplaceQueueBehind",
)
QUEUE_DRAINS_SLOWLY = Alert(
    "MarketplaceQueueDrainsSlowly",
    AlertType.QUEUE_BACKED_UP,
    Severity.CRITICAL,
    subject=("queue",),
    issue="MarketplaceQueueBehind",
)
QUEUE_STALLED = Alert(
    "MarketplaceQueueStalled",
    AlertType.QUEUE_BACKED_UP,
    Severity.CRITICAL,
    subject=("queue",),
    issue="MarketplaceQueueBehind",
)
QUEUE_PAUSED = Alert("MarketplaceQueuePaused", AlertType.QUEUE_BACKED_UP, Severity.WARNING, subject=("queue",))
NO_WORKERS = Alert("MarketplaceNoWorkers", AlertType.WORKERS_SHORT, Severity.CRITICAL, subject=("queue",))
WORKERS_SATURATED = Alert("MarketplaceWorkersSaturated", AlertType.WORKERS_SHORT, Severity.WARNING, subject=("kind",))
#: The budgets of docs/decisions/objectives.md. Those of a day and of three exist where Prometheus keeps 7 days.
JOB_SUCCESS_BURN_FAST = Alert(
    "MarketplaceJobSuccessBurnFast",
    AlertType.JOB_FAILED,
    Severity.CRITICAL,
    subject=("slo",),
    issue="MarketplaceJobSuccess",
)
JOB_SUCCESS_BURN_SLOW = Alert(
    "MarketplaceJobSuccessBurnSlow",
    AlertType.JOB_FAILED,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobSuccess",
)
JOB_SUCCESS_BURN_DAY = Alert(
    "MarketplaceJobSuccessBurnDay",
    AlertType.JOB_FAILED,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobSuccess",
)
JOB_SUCCESS_BURN_THREE_DAYS = Alert(
    "MarketplaceJobSuccessBurnThreeDays",
    AlertType.JOB_FAILED,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobSuccess",
)
JOB_LATENCY_BURN_FAST = Alert(
    "MarketplaceJobLatencyBurnFast",
    AlertType.QUEUE_BACKED_UP,
    Severity.CRITICAL,
    subject=("slo",),
    issue="MarketplaceJobLatency",
)
JOB_LATENCY_BURN_SLOW = Alert(
    "MarketplaceJobLatencyBurnSlow",
    AlertType.QUEUE_BACKED_UP,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobLatency",
)
JOB_LATENCY_BURN_DAY = Alert(
    "MarketplaceJobLatencyBurnDay",
    AlertType.QUEUE_BACKED_UP,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobLatency",
)
JOB_LATENCY_BURN_THREE_DAYS = Alert(
    "MarketplaceJobLatencyBurnThreeDays",
    AlertType.QUEUE_BACKED_UP,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceJobLatency",
)
AVAILABILITY_BURN_FAST = Alert(
    "MarketplaceAvailabilityBurnFast",
    AlertType.API_FAILING,
    Severity.CRITICAL,
    subject=("slo",),
    issue="MarketplaceAvailability",
)
AVAILABILITY_BURN_SLOW = Alert(
    "MarketplaceAvailabilityBurnSlow",
    AlertType.API_FAILING,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceAvailability",
)
AVAILABILITY_BURN_DAY = Alert(
    "MarketplaceAvailabilityBurnDay",
    AlertType.API_FAILING,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceAvailability",
)
AVAILABILITY_BURN_THREE_DAYS = Alert(
    "MarketplaceAvailabilityBurnThreeDays",
    AlertType.API_FAILING,
    Severity.WARNING,
    subject=("slo",),
    issue="MarketplaceAvailability",
)
DEAD_LETTERS_GROWING = Alert(
    "MarketplaceDeadLettersGrowing", AlertType.JOB_FAILED, Severity.WARNING, subject=("kind", "error_class")
)
JOBS_UNACCOUNTED = Alert("MarketplaceJobsUnaccounted", AlertType.JOBS_LOST, Severity.CRITICAL, subject=("loss",))
STUCK_PLANS = Alert("MarketplaceStuckPlans", AlertType.PLANS_STUCK, Severity.CRITICAL, subject=("cause",))
CIRCUIT_OPENED = Alert("MarketplaceCircuitOpened", AlertType.CIRCUIT_OPENED, Severity.WARNING, subject=("agent",))
ALL_CIRCUITS_OPEN = Alert("MarketplaceAllCircuitsOpen", AlertType.CIRCUIT_OPENED, Severity.CRITICAL)
CIRCUIT_FLAPPING = Alert("MarketplaceCircuitFlapping", AlertType.CIRCUIT_OPENED, Severity.WARNING, subject=("agent",))
REFUSALS_SLOW = Alert("MarketplaceRefusalsSlow", AlertType.CIRCUIT_OPENED, Severity.WARNING, subject=("agent",))
REDIS_DOWN = Alert("MarketplaceRedisDown", AlertType.DEPENDENCY_DOWN, Severity.CRITICAL)
REDIS_POOL_EXHAUSTED = Alert(
    "MarketplaceRedisPoolExhausted", AlertType.DEPENDENCY_DOWN, Severity.WARNING, subject=("job", "instance", "client")
)
DATABASE_DOWN = Alert("MarketplaceDatabaseDown", AlertType.DEPENDENCY_DOWN, Severity.CRITICAL)
SYNC_FALLBACK_ACTIVE = Alert("MarketplaceSyncFallbackActive", AlertType.FALLBACK_ACTIVE, Severity.WARNING)
UNEXPECTED_ERRORS = Alert("MarketplaceUnexpectedErrors", AlertType.API_FAILING, Severity.WARNING, subject=("place",))
TARGET_DOWN = Alert("MarketplaceTargetDown", AlertType.MONITORING, Severity.CRITICAL, subject=("job", "instance"))
METRICS_ABSENT = Alert("MarketplaceMetricsAbsent", AlertType.MONITORING, Severity.CRITICAL, subject=("metric",))
#: Always fires: whoever misses it knows that no other alert would arrive either.
WATCHDOG = Alert("MarketplaceWatchdog", AlertType.MONITORING, Severity.INFO)
RELAY_DEGRADED = Alert("MarketplaceRelayDegraded", AlertType.MONITORING, Severity.CRITICAL, subject=("problem",))
RELAY_BACKLOG = Alert("MarketplaceRelayBacklog", AlertType.MONITORING, Severity.WARNING)
#: The relay's own: no rule can tell that Prometheus or Alertmanager is silent.
MONITORING_BLIND = Alert("MarketplaceMonitoringBlind", AlertType.MONITORING, Severity.CRITICAL)

#: Those that a rule of Prometheus raises.
ALERTS: tuple[Alert, ...] = (
    QUEUE_BACKED_UP,
    QUEUE_DRAINS_SLOWLY,
    QUEUE_STALLED,
    QUEUE_PAUSED,
    NO_WORKERS,
    WORKERS_SATURATED,
    JOB_SUCCESS_BURN_FAST,
    JOB_SUCCESS_BURN_SLOW,
    JOB_SUCCESS_BURN_DAY,
    JOB_SUCCESS_BURN_THREE_DAYS,
    JOB_LATENCY_BURN_FAST,
    JOB_LATENCY_BURN_SLOW,
    JOB_LATENCY_BURN_DAY,
    JOB_LATENCY_BURN_THREE_DAYS,
    AVAILABILITY_BURN_FAST,
    AVAILABILITY_BURN_SLOW,
    AVAILABILITY_BURN_DAY,
    AVAILABILITY_BURN_THREE_DAYS,
    DEAD_LETTERS_GROWING,
    JOBS_UNACCOUNTED,
    STUCK_PLANS,
    CIRCUIT_OPENED,
    ALL_CIRCUITS_OPEN,
    CIRCUIT_FLAPPING,
    REFUSALS_SLOW,
    REDIS_DOWN,
    REDIS_POOL_EXHAUSTED,
    DATABASE_DOWN,
    SYNC_FALLBACK_ACTIVE,
    UNEXPECTED_ERRORS,
    TARGET_DOWN,
    METRICS_ABSENT,
    RELAY_DEGRADED,
    RELAY_BACKLOG,
    WATCHDOG,
)

#: Those, and the one that the relay raises: each has a runbook.
EXPLAINED_ALERTS: tuple[Alert, ...] = (*ALERTS, MONITORING_BLIND)
