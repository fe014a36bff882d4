"""The table of metrics: the one place where a metric's name stands.

Live metrics, the reference page and (in time) dashboards and rules all read it. Label values are closed sets, so that
every combination exists from the start and no id can become a label.
"""

from __future__ import annotations

from importlib.metadata import version

from app.domain.alerts import AlertType, Severity
from app.domain.breaker import CircuitState, TurnCause
from app.domain.conservation import LossKind
from app.domain.controls import Mode
from app.domain.dead_letters import ErrorClass, LetterStatus, MessageFault
from app.domain.errors import RECOVERABLE_CODES
from app.domain.jobs import QUEUES, JobKind, JobStatus, LossCause, RunVia
from app.domain.plan_size import PlanSize
from app.domain.processes import ProcessRole
from app.domain.stuck_plans import StuckCause
from app.metric import AGENTS as AGENTS  # noqa: PLC0414 -- everything about metrics is imported from here
from app.metric import Metric as Metric  # noqa: PLC0414 -- as above
from app.metric_buckets import (
    AGENT_BUCKETS,
    DEPTH_BUCKETS,
    HTTP_BUCKETS,
    LATENCY_BUCKETS,
    MESSAGE_BUCKETS,
    PAUSE_BUCKETS,
    RECOVERY_BUCKETS,
    REFUSAL_BUCKETS,
    TIMEOUT_BUCKETS,
)

#: Spans in seconds, and their names, within which delayed jobs are told to come due: the pauses before retries.
COMING_DUE = {1: "1s", 5: "5s", 30: "30s"}

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
    together="livemax",
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
    together="livemax",
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
    {
        **_KIND,
        "error_class": (ErrorClass.RECOVERABLE, ErrorClass.PERMANENT, ErrorClass.CRASH),
        "plan_size": tuple(PlanSize),
    },
)
WORKER_THREADS = Metric(
    "marketplace_worker_threads",
    "gauge",
    "Threads of workers that run jobs of this kind; those of a quarantine worker take either kind, and count for both",
    {**_KIND, "role": (ProcessRole.WORKER, ProcessRole.QUARANTINE)},
    together="livesum",
)
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
    together="livesum",
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
    together="livesum",
)
REDIS_CONNECTIONS_MAX = Metric(
    "marketplace_redis_pool_connections_max",
    "gauge",
    "Connections to Redis that this process may open",
    {"client": ("patient", "fail_fast")},
    together="livesum",
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
    {"method": ("GET", "POST", "PATCH", "other"), "status": ("2xx", "3xx", "4xx", "5xx")},
    HTTP_BUCKETS,
)
DELIVERIES = Metric(
    "marketplace_webhook_deliveries_total",
    "counter",
    "Attempts to deliver an event to a subscriber, by outcome",
    {"outcome": ("delivered", "retrying", "failed")},
)
RELAY_MESSAGES = Metric(
    "marketplace_relay_messages_total",
    "counter",
    "Messages that the relay is done with: Slack took it alone or in a digest, there is no Slack and it was logged, or"
    " Slack refused even its plain text and it was logged",
    {"kind": ("firing", "update", "recovery"), "outcome": ("sent", "digest", "logged", "refused")},
    relay=True,
)
RELAY_CALLS = Metric(
    "marketplace_relay_slack_calls_total",
    "counter",
    "Calls to Slack, by outcome: too many, no answer in time, a setting that a person must mend, or a message that"
    " Slack does not take",
    {"outcome": ("ok", "rate_limited", "unavailable", "misconfigured", "invalid")},
    relay=True,
)
RELAY_WAITING = Metric(
    "marketplace_relay_waiting_messages", "gauge", "Messages that wait for Slack", together="livemax", relay=True
)
RELAY_OLDEST = Metric(
    "marketplace_relay_oldest_waiting_seconds",
    "gauge",
    "For how long the oldest message has waited for Slack; 0 when none does",
    together="livemax",
    relay=True,
)
RELAY_DELIVERY = Metric(
    "marketplace_relay_delivery_seconds",
    "histogram",
    "Time from when the relay accepted what a message tells of until Slack had taken the message",
    buckets=MESSAGE_BUCKETS,
    relay=True,
)
RELAY_SLACK_UP = Metric(
    "marketplace_relay_slack_up",
    "gauge",
    "1 while every channel takes what it is sent, or nothing was sent yet; 0 while one does not",
    together="livemax",
    relay=True,
)
NOTICES = Metric(
    "marketplace_notices_total",
    "counter",
    "Notices for the relay, by what an attempt to deliver them came to; expired ones are told to nobody",
    {"outcome": ("delivered", "retrying", "refused", "expired")},
)
NOTICES_WAITING = Metric(
    "marketplace_notices_waiting",
    "gauge",
    "Notices that the relay does not have yet; 0 where there is no relay",
    level=True,
)
NOTICES_OLDEST = Metric(
    "marketplace_notices_oldest_seconds",
    "gauge",
    "For how long the oldest notice has waited that the relay does not have yet; 0 when there is none",
    level=True,
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
            "notices",
            "heartbeat",
            "breakers",
            "agent_calls",
            "timeouts",
            "relay_intake",
            "relay_tick",
            "relay_delivery",
        )
    },
)
RELAY_SIGNALS = Metric(
    "marketplace_relay_signals_total",
    "counter",
    "Alerts and notices that the relay was told of, by the way they came and by what became of them: they changed an"
    " issue, joined one that the other path had told of, came again, came too late, or are held until they last",
    {
        "path": ("alertmanager", "pipeline", "own"),
        "outcome": ("accepted", "joined", "repeated", "stale", "held"),
    },
    relay=True,
)
RELAY_REFUSED = Metric(
    "marketplace_relay_refused_total",
    "counter",
    "Requests that the relay refused, by reason; `unavailable` when it could not write to its file",
    {"reason": ("token", "signature", "timestamp", "malformed", "too_large", "unavailable")},
    relay=True,
)
RELAY_SUPPRESSED = Metric(
    "marketplace_relay_suppressed_total",
    "counter",
    "Times that an alert came again within the window and got no message of its own; a later one tells how many",
    {"type": tuple(AlertType)},
    relay=True,
)
RELAY_OPEN_ISSUES = Metric(
    "marketplace_relay_open_issues",
    "gauge",
    "Issues that go on, by severity",
    {"severity": tuple(Severity)},
    together="livemax",
    relay=True,
)
RELAY_WATCHDOG_AGE = Metric(
    "marketplace_relay_watchdog_age_seconds",
    "gauge",
    "Time since Watchdog came last, or since the relay was started; 0 where no Alertmanager is expected",
    together="livemax",
    relay=True,
)
RELAY_COMMIT = Metric(
    "marketplace_relay_commit_seconds",
    "histogram",
    "Time from a request's signals to their commit, which many requests share",
    buckets=LATENCY_BUCKETS,
    relay=True,
)

#: Every metric above, in this order: none can be forgotten.
METRICS: tuple[Metric, ...] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Metric))

#: What the processes of the pipeline count.
PIPELINE_METRICS: tuple[Metric, ...] = tuple(metric for metric in METRICS if not metric.relay)

#: What the relay counts: nothing of the others, which have the series of every queue and agent.
RELAY_METRICS: tuple[Metric, ...] = (BUILD_INFO, ERRORS, *(metric for metric in METRICS if metric.relay))
