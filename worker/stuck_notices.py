"""What the relay is told of stuck plans: each case once, whoever finds it, and when a cause has none any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from app.domain.alerts import STUCK_PLANS
from app.domain.stuck_plans import StuckCause
from app.storage.database import Database
from app.storage.notices import is_told_firing, notice_id, tell_firing, tell_resolved
from app.storage.stuck_plans import StuckPlan

_SUMMARIES = {
    StuckCause.NO_JOB: "A plan has no job that could bring it on",
    StuckCause.WAITING: "No worker takes the job of a plan",
    StuckCause.RETRY_OVERDUE: "No worker takes the next attempt of a job",
    StuckCause.PAST_DEADLINE: "No worker takes a job whose total time is over",
    StuckCause.OVERRUN: "A job runs for longer than it may",
    StuckCause.LEASE_EXPIRED: "A job's process is gone, and nobody has taken the job back",
    StuckCause.NOT_LATCHED: "A job ended, and its plan does not know",
    StuckCause.NO_DEAD_LETTER: "A job failed without a dead letter",
}
_ACTIONS = {
    StuckCause.NO_JOB: "The scheduler makes the job.",
    StuckCause.WAITING: "The scheduler has sent another hint to the workers.",
    StuckCause.RETRY_OVERDUE: "The scheduler has sent another hint to the workers.",
    StuckCause.PAST_DEADLINE: "The scheduler has sent another hint to the workers; after a day it gives the job up.",
    StuckCause.OVERRUN: "The job is taken back when its lease ends.",
    StuckCause.LEASE_EXPIRED: "The scheduler takes the job back.",
    StuckCause.NOT_LATCHED: "None: nobody repairs this silently.",
    StuckCause.NO_DEAD_LETTER: "The scheduler has written the dead letter.",
}


def told_causes(connection: Connection) -> Sequence[StuckCause]:
    """Return the causes of which was told that plans are stuck, by any scheduler, and not yet that none is.

    To be read before the stuck plans: what is told of was found by then, so that a cause without a plan is over.
    """
    return [cause for cause in _SUMMARIES if is_told_firing(connection, STUCK_PLANS, _subject(cause))]


def tell_stuck(database: Database, new: Sequence[StuckPlan], over: Collection[StuckCause]) -> None:
    """Tell of new cases, and of causes that no plan has any more.

    Raises:
        DatabaseUnavailableError: Nothing was told: tell again.
    """
    if not new and not over:
        return
    with database.write() as connection:
        for plan in new:
            _tell(connection, plan)
        for cause in over:
            tell_resolved(connection, STUCK_PLANS, _subject(cause), summary="No plan is stuck for this cause any more")


def _tell(connection: Connection, plan: StuckPlan) -> None:
    tell_firing(
        connection,
        # With the time at which its stage began, for the same plan may be stuck in the same way another time.
        notice_id(plan.plan_id, plan.job_id, plan.cause, plan.since_at.isoformat()),
        STUCK_PLANS,
        _subject(plan.cause),
        summary=f"{_SUMMARIES[plan.cause]}, for {plan.age_seconds:.0f} s now",
        plan_id=plan.plan_id,
        job_id=plan.job_id,
        error_code=plan.cause,
        action=_ACTIONS[plan.cause],
    )


def _subject(cause: StuckCause) -> dict[str, str]:
    return {"cause": str(cause)}
