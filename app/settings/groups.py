"""The groups of settings: each part of the product receives its own one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from app.domain.agent_timeouts import TimeoutMode
from app.domain.jobs import JobKind
from app.domain.timeout_rule import zone_of
from app.domain.token_form import TOKEN_FORM, is_token

Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1)]


class Group(BaseModel):
    """A group of settings: frozen, and closed to unknown names.

    The text under a field is its description in docs/reference/settings.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class WebSettings(Group):
    """The API process."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Port to listen on."""
    threads: Annotated[int, Field(ge=1, le=256)] = 16
    """Requests that each process serves at the same time."""
    graceful_timeout_seconds: Seconds = 10.0
    """Time that running requests, and jobs that run in place, get to finish when the server is told to stop."""
    in_place_runs: Annotated[int, Field(ge=0, le=64)] = 4
    """Jobs that each process runs itself at the same time, in `sync` mode or when Redis does not answer."""
    in_place_wait_seconds: Annotated[float, Field(ge=0, le=10)] = 0.2
    """When Redis does not answer, an approval is answered this long after it came, whether its job has ended or not."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=50_000_000)] = 1_000_000
    """Largest JSON body."""
    max_upload_bytes: Annotated[int, Field(ge=1024, le=50_000_000)] = 5_000_000
    """Largest uploaded file."""
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 6000
    """Requests that one token may send per minute; 0 is no limit."""
    rate_limit_auth_failures_per_minute: Annotated[int, Field(ge=0)] = 60
    """Requests without a valid token that one address may send per minute; 0 is no limit."""
    levels_budget_seconds: Annotated[float, Field(gt=0, le=10)] = 0.2
    """How long a scrape waits for the levels of the database and of Redis; those that come later are left out."""
    levels_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    """For how long levels that were read are told again, so that many scrapes cost the sources no more than one."""
    bootstrap_admin_token: SecretStr | None = None
    """A token of the role `admin` that is valid from the first start on, under the name `bootstrap-admin`: for
    installations whose first token comes from a store of secrets. Revoked, it stays so; another text replaces it."""

    @field_validator("bootstrap_admin_token")
    @classmethod
    def _is_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_token(value.get_secret_value()):
            raise ValueError(f"must be {TOKEN_FORM}")
        return value


class ProcessSettings(Group):
    """What every process has in common."""

    directory: Path | None = None
    """Where processes of one host, or containers of one pod, show each other that they live; what a dead one held is
    given back at once. By default a private directory of this user under the system's one for temporary files."""


class WorkerSettings(Group):
    """One worker process: threads for Phase 1 jobs, and others for analyses, so that neither can starve the other."""

    phase1_threads: Annotated[int, Field(ge=0, le=256)] = 8
    """Phase 1 jobs that one process runs at the same time; 0 leaves them to other workers."""
    analysis_threads: Annotated[int, Field(ge=0, le=256)] = 8
    """Analyses that one process runs at the same time; 0 leaves them to other workers."""
    metrics_host: str = "127.0.0.1"
    """Address at which this process answers with its own metrics."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port for the same; 0 is none."""
    poll_milliseconds: Annotated[int, Field(ge=5, le=5000)] = 1000
    """How long an idle worker waits for a hint before it asks Redis again; a hint that comes ends the wait at once.
    Stopping an idle worker takes as long."""
    shutdown_grace_seconds: Seconds = 15.0
    """Time that running jobs get to finish when the worker is told to stop; then they are given back."""
    hung_after_seconds: Seconds = 10.0
    """A worker in which a thread that takes hints has not come round for this long, or any thread has died, gives its
    jobs back and ends with exit code 70. Never less than twice the timeout of Redis."""


class SchedulerSettings(Group):
    """One scheduler process."""

    fallback_after_seconds: Seconds = 3.0
    """When Redis has been away for this long, the scheduler runs due jobs itself."""
    fallback_phase1_runs: Annotated[int, Field(ge=0, le=64)] = 4
    """Phase 1 jobs that it then runs at the same time; 0 leaves them to other schedulers."""
    fallback_analysis_runs: Annotated[int, Field(ge=0, le=64)] = 1
    """Analyses that it then runs at the same time; 0 leaves them to other schedulers."""
    shutdown_grace_seconds: Seconds = 15.0
    """Time that these jobs get to finish when the scheduler is told to stop; then they are given back."""
    metrics_host: str = "127.0.0.1"
    """Address at which this process answers with its own metrics."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port for the same; 0 is none."""


class JobSettings(Group):
    """The constants of docs/reference/job-protocol.md; LEASE + REAP + TICK + pick-up stay under 20 s."""

    lease_seconds: Seconds = 12.0
    """LEASE: a run that has not renewed its lease for this long is taken for dead."""
    beat_seconds: Seconds = 3.0
    """BEAT: a run renews its lease, and a process the row that shows it, this often."""
    reap_seconds: Seconds = 2.0
    """REAP: the sweeper looks for dead runs this often."""
    tick_seconds: Seconds = 0.5
    """TICK: the sweeper looks for due jobs this often."""
    reconcile_seconds: Seconds = 10.0
    """RECONCILE: the sweeper compares plans, jobs and clocks this often."""
    grace_seconds: Seconds = 3.0
    """GRACE: time that the API's own hint gets before the sweeper sends one."""
    redispatch_seconds: Seconds = 10.0
    """REDISPATCH: a pending job gets another hint after this long."""
    clamp_seconds: Seconds = 60.0
    """CLAMP: no pause between two attempts is longer; an agent that asks for a longer one is not called again."""
    window: Count = 200
    """WINDOW: most hints that wait in one queue; the other jobs wait in the database."""
    crash_limit: Annotated[int, Field(ge=0, le=10)] = 3
    """Runs that may end with their process dying before the job fails."""
    quarantine_wait_seconds: Seconds = 60.0
    """Jobs that a process died under wait this long for a quarantine worker that is gone; then any worker runs them."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Attempts after the first one, for errors that may pass."""
    retry_delays_seconds: Annotated[tuple[Annotated[float, Field(ge=0, le=60)], ...], NoDecode] = (
        1.0,
        5.0,
        30.0,
    )
    """Pause before each of them, separated by commas; the last one repeats."""
    phase1_attempt_seconds: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """Time limit of one attempt to create the Phase 1 tasks."""
    analysis_attempt_seconds: Annotated[float, Field(ge=0.1, le=120)] = 120.0
    """Time limit of one attempt to ask the agents."""
    phase1_total_seconds: Seconds = 120.0
    """Time from its first start on after which a Phase 1 job is not retried any more."""
    analysis_total_seconds: Seconds = 600.0
    """Time from its first start on after which an analysis is not retried any more."""
    watch_seconds: Seconds = 2.0
    """WATCH: the scheduler looks for stuck plans this often."""
    stuck_after_seconds: Seconds = 60.0
    """A plan is stuck when its Phase 1 job could start, and no worker has taken it for this long."""
    analysis_stuck_after_seconds: Seconds = 120.0
    """The same for an analysis."""
    abandon_after_seconds: Annotated[float, Field(ge=60, le=2_592_000)] = 86_400.0
    """ABANDON: a job whose total time is over, and that no worker has taken for this long, ends as a dead letter."""
    answer_cache_seconds: Annotated[float, Field(ge=0, le=2_592_000)] = 86_400.0
    """How long the last good answer of an agent may stand in for a new one; 0 is never."""

    @field_validator("retry_delays_seconds", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> JobSettings:
        if self.beat_seconds * 2 >= self.lease_seconds:
            raise ValueError("lease_seconds must be more than twice beat_seconds")
        if self.max_retries and not self.retry_delays_seconds:
            raise ValueError("retry_delays_seconds must name at least one delay")
        return self

    def attempt_seconds(self, kind: JobKind) -> float:
        """Return how long one attempt of a job of this kind may take."""
        return {JobKind.PHASE1: self.phase1_attempt_seconds, JobKind.ANALYSIS: self.analysis_attempt_seconds}[kind]

    def waiting_seconds(self, kind: JobKind) -> float:
        """Return how long a job of this kind that could start may wait before its plan counts as stuck."""
        return {JobKind.PHASE1: self.stuck_after_seconds, JobKind.ANALYSIS: self.analysis_stuck_after_seconds}[kind]

    def total_seconds(self, kind: JobKind) -> float:
        """Return how long a job of this kind may take with all its attempts."""
        return {JobKind.PHASE1: self.phase1_total_seconds, JobKind.ANALYSIS: self.analysis_total_seconds}[kind]


class AgentsSettings(Group):
    """The list of agents, from a YAML file or as JSON in `items`; their retries, and their shares of the threads."""

    file: Path | None = None
    """YAML file with the list of agents."""
    items: SecretStr | None = None
    """The same list as JSON, for deployments without files."""
    retry_ratio: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retries that each first call to an agent allows: 0.2 is one retry for five calls."""
    retry_reserve_per_second: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Retries to one agent per second that every process may make beside those, so that rare jobs can be retried."""
    bulkhead_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a process's threads for one kind of job that may wait for one agent at the same time, at least one
    thread; 1 lets an agent that hangs take them all. An agent's own `max_concurrent_calls` goes before it."""


class BreakerSettings(Group):
    """The circuit breaker of each agent; the list of agents may set other numbers for single ones (`breaker:`)."""

    failure_threshold: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failures in a row, over all processes, that open the circuit."""
    open_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    """How long it stays open before calls are tried again; longer when the agent asks for it, up to an hour."""
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 2
    """Calls that must then succeed until it closes; one that fails opens it again."""
    half_open_probes: Annotated[int, Field(ge=1, le=100)] = 2
    """Such calls that may be under way at the same time, over all processes."""


class TimeoutSettings(Group):
    """How long an agent may take to answer: by a rule, or as learned from its recent calls."""

    mode: TimeoutMode = TimeoutMode.RULE
    """`rule`, `learned`, or `shadow`: the rule holds, and the learned timeout is computed and shown beside it."""
    least_seconds: Seconds = 10.0
    """No timeout is shorter, but for an agent's own in the list of agents."""
    most_seconds: Seconds = 120.0
    """No timeout is longer."""
    base_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """The rule begins with this."""
    per_hundred_opportunities_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """The rule adds this for each 100 opportunities of the plan, and parts of it for parts."""
    per_transition_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """The rule adds this for each transition of the agent's circuit breaker within the window."""
    transitions_window_seconds: Annotated[float, Field(gt=0, le=604_800)] = 3600.0
    """How far back those transitions are counted."""
    peak_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """The rule adds this in the peak hours."""
    peak_from_hour: Annotated[int, Field(ge=0, le=23)] = 9
    """Hour of the day at which they begin."""
    peak_to_hour: Annotated[int, Field(ge=0, le=24)] = 18
    """Hour of the day at which they end; before the other one, they span midnight; the same hour is no peak."""
    time_zone: str = "UTC"
    """Time zone of these hours, such as `America/Sao_Paulo`."""
    least_samples: Annotated[int, Field(ge=10, le=1000)] = 50
    """With fewer answers of an agent nothing is learned, and the rule holds."""
    newest_calls: Annotated[int, Field(ge=50, le=5000)] = 600
    """So many of the newest calls of an agent are learned from."""
    watched_calls: Annotated[int, Field(ge=10, le=2000)] = 200
    """And so many older ones that were given the longest timeout: they tell whether late answers still come."""
    half_life_calls: Annotated[float, Field(ge=10, le=5000)] = 300.0
    """A call that is followed by so many others weighs half."""
    deviations: Annotated[float, Field(ge=0, le=6)] = 2.0
    """The learned timeout is at least the mean of the logarithms of the durations and so many deviations."""
    cut_share: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Share of healthy calls that the learned timeout may cut off."""
    probe_share: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    """Share of calls that are given the longest timeout, in mode `learned`."""
    refresh_seconds: Seconds = 30.0
    """Each process learns anew after this time, in the background of a call."""
    calls_kept_seconds: Annotated[float, Field(ge=60, le=31_536_000)] = 604_800.0
    """How long the durations of calls are kept."""

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            zone_of(value)
        except ValueError:
            raise ValueError("is no time zone that this machine knows") from None
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> TimeoutSettings:
        if self.least_seconds > self.most_seconds:
            raise ValueError("least_seconds must not be more than most_seconds")
        return self


class OutboundSettings(Group):
    """Calls that leave the product: to agents and to webhooks."""

    allow_private_agents: bool = False
    """Whether agents may be at private or loopback addresses, as those in your own network or cluster are."""
    allow_private_webhooks: bool = False
    """Whether webhooks may be sent to private or loopback addresses."""
    tls_ca_file: Path | None = None
    """File with the certificate authorities of agents and webhooks; without it, the usual ones."""
    max_answer_bytes: Annotated[int, Field(ge=1024, le=50_000_000)] = 2_000_000
    """Largest answer that is read; compressed ones are refused."""


class WebhookSettings(Group):
    """Delivery of events to subscribers."""

    timeout_seconds: Seconds = 10.0
    """Time limit of one delivery."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 8
    """Tries before a delivery is given up."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Deliveries at the same time, per scheduler process."""
    poll_seconds: Seconds = 0.5
    """The scheduler looks for due deliveries this often."""


class LogSettings(Group):
    """Structured logs on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is written."""
    format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for people."""

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value
