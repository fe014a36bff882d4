"""Diagnostics: how the whole pipeline is, and what to do about what is wrong."""

from __future__ import annotations

from uuid import UUID

from apiflask import APIBlueprint

from app.api.jobs import JobError
from app.api.operation import operation
from app.api.shapes import Answer, UtcTime
from app.api.wiring import runtime
from app.diagnostics import Diagnosis, OverallStatus, Severity
from app.domain.jobs import JobKind
from app.domain.roles import Role
from app.health import HealthStatus
from app.storage.stuck_plans import StuckCause

diagnostics = APIBlueprint("diagnostics", __name__, url_prefix="/api/marketplace/diagnostics")


class DependencyHealth(Answer):
    """How a dependency is; `latency` is null when it does not answer."""

    status: HealthStatus
    latency: str | None


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
    """An approved plan without tasks for longer than the limit, and why."""

    plan_id: UUID
    title: str
    approved_at: UtcTime
    age_seconds: float
    cause: StuckCause
    job_id: UUID | None


class StuckPlans(Answer):
    """How many plans are stuck, and the oldest of them."""

    count: int
    items: list[StuckPlan]


class PlanRetries(Answer):
    """What the jobs of one plan went through in the last 24 hours."""

    plan_id: UUID
    jobs: int
    attempts: int
    retries: int
    crashes: int
    failed: int
    last_error: JobError | None


class DeadLetters(Answer):
    """How many jobs of a kind ended for a reason, and wait for a person."""

    kind: JobKind
    reason: str
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
    queues: list[QueueLevel]
    stuck_plans: StuckPlans
    retries: list[PlanRetries]
    dead_letters: list[DeadLetters]
    recommendations: list[Recommendation]

    @classmethod
    def of(cls, found: Diagnosis) -> DiagnosisAnswer:
        """Return the answer for a diagnosis."""
        return cls(
            status=found.status,
            checked_at=found.checked_at,
            database=DependencyHealth(status=found.database.status, latency=found.database.latency),
            redis=DependencyHealth(status=found.redis.status, latency=found.redis.latency),
            queues=[QueueLevel(**vars(queue)) for queue in found.queues],
            stuck_plans=StuckPlans(count=found.stuck_count, items=[StuckPlan(**vars(plan)) for plan in found.stuck]),
            retries=[
                PlanRetries(
                    plan_id=plan.plan_id,
                    jobs=plan.jobs,
                    attempts=plan.attempts,
                    retries=plan.retries,
                    crashes=plan.crashes,
                    failed=plan.failed,
                    last_error=JobError(code=plan.last_error_code, message=plan.last_error or "")
                    if plan.last_error_code
                    else None,
                )
                for plan in found.retries
            ],
            dead_letters=[DeadLetters(**vars(letters)) for letters in found.dead_letters],
            recommendations=[Recommendation(**vars(advice)) for advice in found.recommendations],
        )


@operation(diagnostics, "GET", "", access=Role.VIEWER, answers={200: DiagnosisAnswer})
def tell_diagnosis() -> DiagnosisAnswer:
    """Tell how queues, database, Redis and plans are, and what to do about what is wrong."""
    return DiagnosisAnswer.of(runtime().diagnostics.examine())
