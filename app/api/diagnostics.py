"""Diagnostics: how the whole pipeline is, and what to do about what is wrong."""

from __future__ import annotations

from uuid import UUID

from apiflask import APIBlueprint

from app.api.breaker_shapes import BreakerAnswer
from app.api.jobs import JobError
from app.api.operation import operation
from app.api.shapes import Answer, UtcTime
from app.api.wiring import runtime
from app.diagnostics import Diagnosis
from app.domain.dead_letters import ErrorClass
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.domain.roles import Role
from app.domain.stuck_plans import StuckCause
from app.health import HealthStatus
from app.recommendations import OverallStatus, Severity

diagnostics = APIBlueprint("diagnostics", __name__, url_prefix="/api/marketplace/diagnostics")


class DependencyHealth(Answer):
    """How a dependency is; `latency` is null when it does not answer."""

    status: HealthStatus
    latency: str | None


class ProcessSeen(Answer):
    """A process of the last hour; one that has not been seen for 12 s or more does not run, or is frozen."""

    owner: str
    role: ProcessRole
    started_at: UtcTime
    seen_seconds_ago: float


class QueueLevel(Answer):
    """Jobs of one queue by state, and how long the oldest that could be claimed has waited."""

    queue: str
    kind: JobKind
    pending: int
    active: int
    completed: int
    failed: int
    oldest_due_seconds: float | None


class StuckPlan(Answer):
    """A plan that has been in one stage since `sinceAt`, for longer than its limit, and why."""

    plan_id: UUID
    title: str
    stage: JobKind
    cause: StuckCause
    job_id: UUID | None
    since_at: UtcTime
    age_seconds: float
    limit_seconds: float


class StuckPlans(Answer):
    """How many plans are stuck, and the oldest of them; `paused` counts those that wait for a paused queue."""

    count: int
    paused: int
    causes: dict[StuckCause, int]
    items: list[StuckPlan]

    @classmethod
    def of(cls, found: Diagnosis) -> StuckPlans:
        """Return the answer for a diagnosis."""
        causes = {cause: count for cause, count in found.stuck_counts.items() if count}
        paused = causes.pop(StuckCause.QUEUE_PAUSED, 0)
        items = [StuckPlan(**vars(plan)) for plan in found.stuck]
        return cls(count=sum(causes.values()), paused=paused, causes=causes, items=items)


class PlanRetries(Answer):
    """What the jobs of one plan went through in the last 24 hours."""

    plan_id: UUID
    jobs: int
    attempts: int
    retries: int
    crashes: int
    failed: int
    succeeded_after_retry: int
    last_error: JobError | None
    next_attempt_at: UtcTime | None


class DeadLetters(Answer):
    """How many dead letters of a kind of job, null for messages, wait for a person, by their reason."""

    kind: JobKind | None
    reason: str
    error_class: ErrorClass
    count: int


class Recommendation(Answer):
    """Something that is wrong, how much of it, and what to do."""

    severity: Severity
    issue: str
    count: int
    action: str


class DiagnosisAnswer(Answer):
    """The whole picture at one moment."""

    status: OverallStatus
    checked_at: UtcTime
    database: DependencyHealth
    redis: DependencyHealth
    processes: list[ProcessSeen]
    queues: list[QueueLevel]
    stuck_plans: StuckPlans
    retries: list[PlanRetries]
    dead_letters: list[DeadLetters]
    breakers: list[BreakerAnswer]
    recommendations: list[Recommendation]

    @classmethod
    def of(cls, found: Diagnosis) -> DiagnosisAnswer:
        """Return the answer for a diagnosis."""
        return cls(
            status=found.status,
            checked_at=found.checked_at,
            database=DependencyHealth(status=found.database.status, latency=found.database.latency),
            redis=DependencyHealth(status=found.redis.status, latency=found.redis.latency),
            processes=[ProcessSeen(**vars(process)) for process in found.processes],
            queues=[QueueLevel(**vars(queue)) for queue in found.queues],
            stuck_plans=StuckPlans.of(found),
            retries=[
                PlanRetries(
                    plan_id=plan.plan_id,
                    jobs=plan.jobs,
                    attempts=plan.attempts,
                    retries=plan.retries,
                    crashes=plan.crashes,
                    failed=plan.failed,
                    succeeded_after_retry=plan.succeeded_after_retry,
                    last_error=JobError.of(plan.last_error_code, plan.last_error),
                    next_attempt_at=plan.next_attempt_at,
                )
                for plan in found.retries
            ],
            dead_letters=[DeadLetters(**vars(letters)) for letters in found.dead_letters],
            breakers=[BreakerAnswer.of(circuit) for circuit in found.circuits],
            recommendations=[Recommendation(**vars(advice)) for advice in found.recommendations],
        )


@operation(diagnostics, "GET", "", access=Role.VIEWER, answers={200: DiagnosisAnswer})
def tell_diagnosis() -> DiagnosisAnswer:
    """Tell how processes, queues, circuits, database, Redis and plans are, and what to do about what is wrong."""
    return DiagnosisAnswer.of(runtime().diagnostics.examine())
