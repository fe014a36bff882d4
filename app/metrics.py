"""The table of metrics: the one place where a metric's name stands.

Live metrics, the reference page and (in time) dashboards and rules all read it. Label values are closed sets, so that
every combination exists from the start and no id can become a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import product
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from app.domain.breaker import CircuitState, TurnCause
from app.domain.conservation import LossKind
from app.domain.controls import Mode
from app.domain.dead_letters import ErrorClass, LetterStatus, MessageFault
from app.domain.errors import RECOVERABLE_CODES
from app.domain.jobs import QUEUES, JobKind, JobStatus, LossCause, RunVia
from app.domain.processes import ProcessRole
from app.domain.stuck_plans import StuckCause

#: Seconds; story 4.5 names 10 ms to 10 s, agents need up to 120 s.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
AGENT_BUCKETS = (*LATENCY_BUCKETS, 30.0, 60.0, 120.0)
#: Seconds; timeouts of agents lie between 10 and 120.
TIMEOUT_BUCKETS = (10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0)
#: Seconds; the pauses are 1, 5 and 30 s, or what an agent asks for.
PAUSE_BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

#: Seconds; a circuit is open for a minute or so at a time.
RECOVERY_BUCKETS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0)

#: Jobs; beyond 50 the stories call a queue backed up.
DEPTH_BUCKETS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

#: Seconds; 99 of 100 refusals are to be answered within 0.1 s.
REFUSAL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

#: Bands of the number of opportunities in a plan.
PLAN_SIZES = ("none", "1-10", "11-50", "51-100", "over_100")

#: Spans in seconds, and their names, within which delayed jobs are told to come due: the pauses before retries.
COMING_DUE = {1: "1s", 5: "5s", 30: "30s"}

#: Stands for the configured agents, which are only known at run time.
AGENTS = ("<agent>",)

#: How a call to an agent ends, for good or ill.
AGENT_OUTCOMES = (
    "ok",
    "network",
    "timeout",
    "rate_limited",
    "server_error",
    "bad_answer",
    "remote_auth",
    "remote_rejected",
)


@dataclass(frozen=True)
class Metric:
    """One metric: its name, what kind it is, and every value that its labels can take."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    #: Read from the source of truth when scraped, by `app.levels`; not set in a process.
    level: bool = False


_QUEUE = {"queue": tuple(QUEUES.values())}
_KIND = {"kind": tuple(JobKind)}

QUEUE_PENDING = Metric("marketplace_queue_pending_jobs", "gauge", "Jobs that wait to be claimed", _QUEUE, level=True)
QUEUE_ACTIVE = Metric("marketplace_queue_active_jobs", "gauge", "Jobs that a worker holds", _QUEUE, level=True)
QUEUE_COMPLETED = Metric("marketplace_queue_completed_jobs", "gauge", "Jobs that completed", _QUEUE, level=True)
QUEUE_FAILED = Metric("marketplace_queue_failed_jobs", "gauge", "Jobs that failed for good", _QUEUE, level=True)
ACTIVE_MODE = Metric(
    "marketplace_mode",
    "gauge",
    "1 for how Phase 1 jobs are run now: by workers, or in place",
    {"mode": tuple(Mode)},
    level=True,
)
QUEUE_PAUSED = Metric(
    "marketplace_queue_paused", "gauge", "1 while no worker takes jobs: paused or drained, else 0", _QUEUE, level=True
)
STUCK_PLANS = Metric(
    "marketplace_stuck_plans",
    "gauge",
    "Plans that make no progress although they should, by cause; a paused queue is no fault",
    {"cause": tuple(StuckCause)},
    level=True,
)
DEAD_LETTERS = Metric(
    "marketplace_dead_letters",
    "gauge",
    "Dead letters that wait for a person, by kind of job and class of the last error; messages have no job",
    {"kind": (*JobKind, "none"), "error_class": tuple(ErrorClass)},
    level=True,
)
QUEUE_OLDEST = Metric(
    "marketplace_queue_oldest_claimable_seconds",
    "gauge",
    "For how long the oldest job that could be claimed has been due; 0 when there is none. A job that waits for its"
    " next attempt does not count, one of a paused queue does",
    _QUEUE,
    level=True,
)
QUEUE_DELAYED = Metric(
    "marketplace_queue_delayed_jobs",
    "gauge",
    "Jobs not yet due that will be within this time; each span holds the shorter ones",
    {**_QUEUE, "within": tuple(COMING_DUE.values())},
    level=True,
)
JOBS_ACCEPTED = Metric(
    "marketplace_jobs_accepted",
    "gauge",
    "Jobs accepted within the last 10 minutes, as their first events among the newest 4,000 tell",
    _QUEUE,
    level=True,
)
JOBS_ACCOUNTED = Metric(
    "marketplace_jobs_accounted",
    "gauge",
    "Where the jobs of marketplace_jobs_accepted are now, as their rows tell; they add up to it when none is lost",
    {**_QUEUE, "state": tuple(JobStatus)},
    level=True,
)
JOBS_UNACCOUNTED = Metric(
    "marketplace_jobs_unaccounted",
    "gauge",
    "Losses found in the database, by kind; 0 when all is well. docs/decisions/conservation.md tells what each sees",
    {"loss": tuple(LossKind)},
    level=True,
)
PROCESSES = Metric(
    "marketplace_processes",
    "gauge",
    "Processes that have shown lately that they live, by role",
    {"role": tuple(ProcessRole)},
    level=True,
)
DATABASE_UP = Metric("marketplace_database_up", "gauge", "1 when the database answers, else 0", level=True)
REDIS_UP = Metric("marketplace_redis_up", "gauge", "1 when Redis answers, else 0", level=True)
REDIS_CLIENTS = Metric(
    "marketplace_redis_connected_clients", "gauge", "Connections open at the Redis server, ours and others'", level=True
)
REDIS_MEMORY = Metric("marketplace_redis_memory_bytes", "gauge", "Memory that the Redis server uses", level=True)

BUILD_INFO = Metric(
    "marketplace_build_info",
    "gauge",
    "1, with the version that runs",
    {"version": (version("marketplace-resilience"),)},
)
JOBS_ENQUEUED = Metric("marketplace_jobs_enqueued_total", "counter", "Jobs created, retried dead letters too", _KIND)
DEPTH_AT_ENQUEUE = Metric(
    "marketplace_queue_depth_at_enqueue",
    "histogram",
    "Jobs that waited, due or not, when another one came; more than 1,000 are not told apart",
    _QUEUE,
    DEPTH_BUCKETS,
)
JOB_RUNS = Metric(
    "marketplace_job_runs_total",
    "counter",
    "Attempts begun, by the way they were made: from the queue, in place by the API, by the scheduler in its stead",
    {**_KIND, "via": tuple(RunVia)},
)
FALLBACK_ACTIVE = Metric(
    "marketplace_fallback_active",
    "gauge",
    "1 while this scheduler runs due jobs itself, because Redis is away or an operator does without the queue",
)
JOB_DURATION = Metric(
    "marketplace_job_duration_seconds",
    "histogram",
    "Time from claim to end of one attempt",
    {**_KIND, "outcome": ("completed", "retrying", "failed", "lost", "postponed", "released")},
    LATENCY_BUCKETS,
)
JOB_LATENCY = Metric(
    "marketplace_job_completion_seconds",
    "histogram",
    "Time from approval or request to completion",
    _KIND,
    AGENT_BUCKETS,
)
JOB_RETRIES = Metric(
    "marketplace_job_retries",
    "histogram",
    "Retries that a job had made when it ended; of those completed, the ones above 0 succeeded after a retry",
    {**_KIND, "outcome": ("completed", "failed")},
    (0.0, 1.0, 2.0, 3.0),
)
JOBS_FAILED = Metric(
    "marketplace_jobs_failed_total",
    "counter",
    "Jobs that failed for good, by class of the last error and by opportunities in the plan; none before its analysis",
    {**_KIND, "error_class": (ErrorClass.RECOVERABLE, ErrorClass.PERMANENT, ErrorClass.CRASH), "plan_size": PLAN_SIZES},
)
WORKER_THREADS = Metric("marketplace_worker_threads", "gauge", "Threads of this process that run jobs", _KIND)
RETRIES_SCHEDULED = Metric(
    "marketplace_retries_scheduled_total",
    "counter",
    "Retries scheduled, by the code of the error that made them necessary",
    {**_KIND, "error": (*RECOVERABLE_CODES, "other")},
)
RETRY_DELAY = Metric(
    "marketplace_retry_delay_seconds", "histogram", "Pause before a scheduled retry", _KIND, PAUSE_BUCKETS
)
JOBS_POSTPONED = Metric(
    "marketplace_jobs_postponed_total",
    "counter",
    "Attempts put off because an agent was busy; they count as no failure",
    _KIND,
)
TASKS_CREATED = Metric(
    "marketplace_tasks_created_total",
    "counter",
    "Phase 1 tasks created, by where they came from",
    {"source": ("plan", "agent", "cache", "generated", "minimal")},
)
HINTS_SENT = Metric(
    "marketplace_hints_sent_total",
    "counter",
    "Hints sent to Redis, by sender and outcome",
    {"sender": ("web", "sweeper"), "outcome": ("sent", "failed")},
)
DEAD_MESSAGES = Metric(
    "marketplace_dead_messages_total",
    "counter",
    "Messages that led to no job and became dead letters, by reason",
    {"reason": tuple(MessageFault)},
)
STUCK_PLANS_FOUND = Metric(
    "marketplace_stuck_plans_found_total",
    "counter",
    "Plans that a scheduler has found to be stuck, by cause; many are mended before anybody can count them",
    {"cause": tuple(StuckCause)},
)
CLOCK_JUMPS = Metric(
    "marketplace_clock_jumps_total",
    "counter",
    "Times that the database's clock was found to have been set",
    {"direction": ("forward", "backward")},
)
LEASES_REAPED = Metric(
    "marketplace_leases_reaped_total",
    "counter",
    "Jobs taken back from dead or frozen runs",
    {**_KIND, "cause": tuple(LossCause)},
)
DEAD_LETTERS_RESOLVED = Metric(
    "marketplace_dead_letters_resolved_total",
    "counter",
    "Dead letters that operators have decided on, by what they decided",
    {"outcome": (LetterStatus.RETRIED, LetterStatus.DISCARDED)},
)
AGENT_CALLS = Metric(
    "marketplace_agent_calls_total",
    "counter",
    "Calls to agents, by outcome",
    {"agent": AGENTS, "outcome": (*AGENT_OUTCOMES, "other")},
)
AGENT_RETRIES = Metric(
    "marketplace_agent_retries_total",
    "counter",
    "Calls to agents that only an earlier failure made necessary, by whether the retry budget allowed them",
    {"agent": AGENTS, "outcome": ("made", "refused")},
)
AGENT_IN_FLIGHT = Metric(
    "marketplace_agent_calls_in_flight",
    "gauge",
    "Calls to agents that this process is making now, by kind of job",
    {"agent": AGENTS, **_KIND},
)
AGENT_REFUSED = Metric(
    "marketplace_agent_permits_refused_total",
    "counter",
    "Times that a job was not allowed to call an agent, because this process made as many calls to it as it may",
    {"agent": AGENTS, **_KIND},
)
AGENT_DURATION = Metric(
    "marketplace_agent_call_duration_seconds",
    "histogram",
    "Time that a call to an agent took",
    {"agent": AGENTS},
    AGENT_BUCKETS,
)
AGENT_ERROR_RATE = Metric(
    "marketplace_agent_error_rate",
    "gauge",
    "Share of the calls to an agent in the last 5 minutes that failed, 0 to 1; absent when there were none",
    {"agent": AGENTS},
    level=True,
)
BREAKER_STATE = Metric(
    "marketplace_circuit_breaker_state",
    "gauge",
    "1 for the state that the agent's circuit is in, else 0",
    {"agent": AGENTS, "state": tuple(CircuitState)},
    level=True,
)
BREAKER_TURNS = Metric(
    "marketplace_circuit_breaker_transitions_total",
    "counter",
    "Changes of the state of an agent's circuit, by the state after it and the cause",
    {"agent": AGENTS, "state": tuple(CircuitState), "cause": tuple(TurnCause)},
)
BREAKER_REFUSALS = Metric(
    "marketplace_circuit_breaker_refusals_total",
    "counter",
    "Calls to agents that were not made because the circuit was open",
    {"agent": AGENTS},
)
REFUSAL_DURATION = Metric(
    "marketplace_circuit_breaker_refusal_seconds",
    "histogram",
    "Time from a call that an open circuit refused to the answer that stood in for the agent",
    {"agent": AGENTS},
    REFUSAL_BUCKETS,
)
BREAKER_RECOVERY = Metric(
    "marketplace_circuit_breaker_recovery_seconds",
    "histogram",
    "Time from the first opening of a circuit until it closed again",
    {"agent": AGENTS},
    RECOVERY_BUCKETS,
)
FALLBACKS = Metric(
    "marketplace_agent_fallbacks_total",
    "counter",
    "Answers that stood in for an agent that was not asked or failed: its last good one, or an empty one",
    {"agent": AGENTS, "source": ("cache", "empty")},
)
AGENT_TIMEOUT = Metric(
    "marketplace_agent_timeout_seconds",
    "histogram",
    "Timeouts of calls to agents: what the rule says, what was learned (when enough is known), and what was used;"
    " calls that ran into theirs have the outcome `timeout` in marketplace_agent_calls_total",
    {"agent": AGENTS, "policy": ("rule", "learned", "used")},
    TIMEOUT_BUCKETS,
)
REDIS_CONNECTIONS = Metric(
    "marketplace_redis_pool_connections",
    "gauge",
    "Connections that this process has opened to Redis",
    {"client": ("patient", "fail_fast")},
)
REDIS_CONNECTIONS_MAX = Metric(
    "marketplace_redis_pool_connections_max",
    "gauge",
    "Connections to Redis that this process may open",
    {"client": ("patient", "fail_fast")},
)
REDIS_COMMANDS = Metric(
    "marketplace_redis_commands_total",
    "counter",
    "Commands sent to Redis, by outcome",
    {"client": ("patient", "fail_fast"), "outcome": ("ok", "failed")},
)
REDIS_DURATION = Metric(
    "marketplace_redis_command_duration_seconds",
    "histogram",
    "Time that a Redis command took; a blocking read counts its wait",
    {"client": ("patient", "fail_fast")},
    LATENCY_BUCKETS,
)
HTTP_DURATION = Metric(
    "marketplace_http_request_duration_seconds",
    "histogram",
    "Time that a request to the API took",
    {"method": ("GET", "POST", "PATCH", "PUT", "DELETE", "other"), "status": ("2xx", "3xx", "4xx", "5xx")},
    LATENCY_BUCKETS,
)
DELIVERIES = Metric(
    "marketplace_webhook_deliveries_total",
    "counter",
    "Attempts to deliver an event to a subscriber, by outcome",
    {"outcome": ("delivered", "retrying", "failed")},
)
ERRORS = Metric(
    "marketplace_unexpected_errors_total",
    "counter",
    "Exceptions that nobody expected; each one is in the log with its traceback",
    {
        "place": (
            "api",
            "job",
            "sweeper",
            "watch",
            "delivery",
            "heartbeat",
            "breakers",
            "agent_calls",
            "timeouts",
        )
    },
)

METRICS: tuple[Metric, ...] = (
    QUEUE_PENDING,
    QUEUE_ACTIVE,
    QUEUE_COMPLETED,
    QUEUE_FAILED,
    QUEUE_PAUSED,
    QUEUE_OLDEST,
    QUEUE_DELAYED,
    JOBS_ACCEPTED,
    JOBS_ACCOUNTED,
    JOBS_UNACCOUNTED,
    ACTIVE_MODE,
    STUCK_PLANS,
    DEAD_LETTERS,
    PROCESSES,
    DATABASE_UP,
    REDIS_UP,
    REDIS_CLIENTS,
    REDIS_MEMORY,
    BUILD_INFO,
    JOBS_ENQUEUED,
    DEPTH_AT_ENQUEUE,
    JOB_RUNS,
    FALLBACK_ACTIVE,
    JOB_DURATION,
    JOB_LATENCY,
    JOB_RETRIES,
    JOBS_FAILED,
    WORKER_THREADS,
    RETRIES_SCHEDULED,
    RETRY_DELAY,
    JOBS_POSTPONED,
    TASKS_CREATED,
    HINTS_SENT,
    DEAD_MESSAGES,
    STUCK_PLANS_FOUND,
    CLOCK_JUMPS,
    LEASES_REAPED,
    DEAD_LETTERS_RESOLVED,
    AGENT_CALLS,
    AGENT_RETRIES,
    AGENT_IN_FLIGHT,
    AGENT_REFUSED,
    AGENT_DURATION,
    AGENT_ERROR_RATE,
    BREAKER_STATE,
    BREAKER_TURNS,
    BREAKER_REFUSALS,
    REFUSAL_DURATION,
    BREAKER_RECOVERY,
    FALLBACKS,
    AGENT_TIMEOUT,
    REDIS_CONNECTIONS,
    REDIS_CONNECTIONS_MAX,
    REDIS_COMMANDS,
    REDIS_DURATION,
    HTTP_DURATION,
    DELIVERIES,
    ERRORS,
)


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
