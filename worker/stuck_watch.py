"""The watch for stuck plans: tells of each within seconds, and mends what the protocol allows.

docs/howto/stuck-plans.md says of each cause what is done and what is left to people.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from app.domain.errors import ConflictError
from app.domain.stuck_plans import DEFECTS, StuckCause
from app.live_metrics import LiveMetrics
from app.metrics import STUCK_PLANS_FOUND
from app.recovery import Recovery
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.dead_letters import archive_missing
from app.storage.stuck_plans import StuckPlan, stuck_plans
from app.storage.sweeps import send_hints_now
from worker.stuck_notices import tell_stuck, told_causes

_log = structlog.stdlib.get_logger(__name__)

#: How many plans of each stage and cause one look tells of, oldest first.
_MOST_PLANS = 1000

#: A look that took T seconds is followed by at least this many times T without one: with a hundred thousand jobs in
#: flight a look takes a fraction of a second.
REST = 9.0

_UNHINTED = frozenset({StuckCause.WAITING, StuckCause.RETRY_OVERDUE, StuckCause.PAST_DEADLINE})

#: A plan, the job of it that counts, and the cause: what is told once.
_Case = tuple[UUID, UUID | None, StuckCause]


class StuckWatch:
    """Looks for stuck plans; for one thread of any number of processes, each of which tells what it finds."""

    def __init__(self, database: Database, recovery: Recovery, settings: JobSettings, metrics: LiveMetrics) -> None:
        self._database = database
        self._recovery = recovery
        self._settings = settings
        self._metrics = metrics
        self._known: dict[_Case, StuckPlan] = {}
        self._not_before = -math.inf

    def look(self) -> Sequence[StuckPlan]:
        """Tell of plans that are stuck since the last look, and of those that are no longer; mend the new ones.

        Returns the new ones.

        Raises:
            DatabaseUnavailableError: The next look finds the same.
        """
        begun = time.monotonic()
        if begun < self._not_before:
            return []
        with self._database.read() as connection:
            told = told_causes(connection)
            stuck = stuck_plans(connection, self._settings, limit=_MOST_PLANS)
        self._not_before = time.monotonic() + REST * (time.monotonic() - begun)
        found: dict[_Case, StuckPlan] = {
            (plan.plan_id, plan.job_id, plan.cause): plan for plan in stuck if plan.cause is not StuckCause.QUEUE_PAUSED
        }
        new = [plan for case, plan in found.items() if case not in self._known]
        self._mend(new)
        tell_stuck(self._database, new, set(told) - {cause for _, _, cause in found})
        for plan in new:
            self._metrics.count(STUCK_PLANS_FOUND, cause=plan.cause)
            _log_case("plan_stuck", plan, is_error=plan.cause in DEFECTS)
        for case, plan in self._known.items():
            if case not in found:
                _log_case("plan_unstuck", plan)
        self._known = found
        return new

    def _mend(self, plans: Sequence[StuckPlan]) -> None:
        """Do what the protocol allows; expired leases are the sweeper's, which takes them back within REAP."""
        if any(plan.cause is StuckCause.NO_JOB for plan in plans):
            self._recovery.create_missing_jobs()
        unhinted = [plan.job_id for plan in plans if plan.cause in _UNHINTED and plan.job_id is not None]
        if unhinted:
            with self._database.write() as connection:
                send_hints_now(connection, unhinted)
        for plan in plans:
            if plan.cause is StuckCause.NO_DEAD_LETTER and plan.job_id is not None:
                # A conflict: another scheduler was first.
                with suppress(ConflictError), self._database.write() as connection:
                    archive_missing(connection, plan.job_id)


def _log_case(event: str, plan: StuckPlan, *, is_error: bool = False) -> None:
    log = _log.error if is_error else _log.warning
    log(
        event,
        plan_id=str(plan.plan_id),
        job_id=None if plan.job_id is None else str(plan.job_id),
        stage=plan.stage,
        cause=plan.cause,
        age_seconds=round(plan.age_seconds, 1),
        limit_seconds=plan.limit_seconds,
    )
