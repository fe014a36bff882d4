"""New plans: asked of the agents, or brought in ready."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from app.announcements import Announcer
from app.domain.errors import InvalidInputError
from app.domain.jobs import JobKind, PlanStatus
from app.domain.plan_reading import read_plan
from app.domain.roles import Actor
from app.job_events import insert_announced_job
from app.live_metrics import LiveMetrics
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.database import Database
from app.storage.plans import insert_plan


@dataclass(frozen=True)
class RequestedAnalysis:
    """A plan that does not exist yet, and the job that makes it."""

    plan_id: UUID
    job_id: UUID


class Analyses:
    """Takes in plans; `channels` are those that a configured agent serves."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        jobs: JobSettings,
        metrics: LiveMetrics,
        *,
        channels: Collection[str],
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._jobs = jobs
        self._metrics = metrics
        self._channels = channels

    def request(
        self,
        *,
        title: str | None,
        channels: Sequence[str],
        context: str | None,
        origin: Literal["analysis", "upload"],
        by: Actor,
        request_id: str | None,
    ) -> RequestedAnalysis:
        """Create a plan and the job that asks the agents for it, in one transaction.

        Raises:
            InvalidInputError: A channel is unknown or named twice.
            DatabaseUnavailableError: Nothing was created.
        """
        self._check(channels)
        with self._database.write() as connection:
            plan_id = insert_plan(
                connection,
                title=title or f"Analysis of {', '.join(channels)}",
                status=PlanStatus.ANALYZING,
                origin=origin,
                channels=channels,
                context=context,
                created_by=by.name,
            )
            job_id = insert_announced_job(
                self._database,
                connection,
                self._jobs,
                self._metrics,
                plan_id=plan_id,
                kind=JobKind.ANALYSIS,
                request_id=request_id,
            )
            record_audit(
                connection,
                actor=by.name,
                action="plan.request",
                target_type="plan",
                target_id=plan_id,
                request_id=request_id,
            )
        self._announcer.announce(JobKind.ANALYSIS, job_id)
        return RequestedAnalysis(plan_id, job_id)

    def import_plan(
        self, *, title: str, channels: Sequence[str], plan_data: object, by: Actor, request_id: str | None
    ) -> UUID:
        """Store a ready plan that awaits approval; what was mended on reading it stands in its notes.

        Raises:
            InvalidInputError: A channel is unknown or named twice, or the plan cannot be read.
            DatabaseUnavailableError: Nothing was stored.
        """
        self._check(channels)
        reading = read_plan(plan_data, place="planData")
        with self._database.write() as connection:
            plan_id = insert_plan(
                connection,
                title=title,
                status=PlanStatus.AWAITING_APPROVAL,
                origin="import",
                channels=channels,
                plan_data=reading.plan.model_dump(mode="json", by_alias=True),
                notes=reading.notes,
                created_by=by.name,
            )
            record_audit(
                connection,
                actor=by.name,
                action="plan.import",
                target_type="plan",
                target_id=plan_id,
                request_id=request_id,
            )
        return plan_id

    def _check(self, channels: Sequence[str]) -> None:
        if not channels:
            raise InvalidInputError("channels", "must name at least one channel")
        for position, channel in enumerate(channels):
            if channel not in self._channels:
                raise InvalidInputError(
                    f"channels.{position}", f"no agent serves this channel; known: {', '.join(sorted(self._channels))}"
                )
            if channel in channels[:position]:
                raise InvalidInputError(f"channels.{position}", "is named twice")
