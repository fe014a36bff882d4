"""The Phase 1 job: the tasks of an approved plan, by the best way that works.

The plan's own phase 1; else the agents' (asked now, or their last good answer); else the plan's most important
opportunities; else one task per channel for somebody to review. docs/decisions/phase-one-fallback.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.agent_round import AgentRound, ChannelAnswer
from app.agents.question import Question
from app.domain.errors import MarketplaceError, NotFoundError
from app.domain.plan import AnalysisPlan
from app.domain.tasks import (
    PHASE,
    Task,
    TaskSource,
    minimal_tasks,
    task_id,
    tasks_of_opportunities,
    tasks_of_phase,
)
from app.job_execution import Finished
from app.job_runs import JobRun
from app.live_metrics import LiveMetrics
from app.metrics import TASKS_CREATED
from app.storage.database import Database
from app.storage.plans import insert_tasks, plan_by_id, set_latch

#: `source` of a job that found its plan's tasks made by another generation.
ALREADY_CREATED = "already_created"


@dataclass(frozen=True)
class _Choice:
    source: TaskSource
    tasks: Sequence[Task]
    answers: Sequence[ChannelAnswer] = field(default_factory=tuple)


class PhaseOne:
    """Body of `phase1` jobs; safe to use from many threads."""

    def __init__(self, database: Database, agents: AgentRound, metrics: LiveMetrics) -> None:
        self._database = database
        self._agents = agents
        self._metrics = metrics

    def __call__(self, run: JobRun) -> Finished:
        """Choose the plan's tasks.

        Raises:
            AgentBusyError: An agent is busy; the job is put off.
            RecoverableError: An agent that was needed failed, and another attempt follows.
            NotFoundError: The plan is gone.
            DatabaseUnavailableError: The plan could not be read.
        """
        with self._database.read() as connection:
            row = plan_by_id(connection, run.claim.plan_id)
        if row is None:
            raise NotFoundError("the plan of this job is gone")
        plan = AnalysisPlan.model_validate(row.plan_data or {})
        choice = self._choose(run, plan, row.title, row.channels)
        run.advance(80)
        return Finished(lambda connection: self._write(connection, run, choice), self._count)

    def _choose(self, run: JobRun, plan: AnalysisPlan, title: str, channels: Sequence[str]) -> _Choice:
        phase = plan.phase(PHASE)
        if phase is not None:
            return _Choice(TaskSource.PLAN, tasks_of_phase(phase, channels))
        run.advance(20)
        answers = self._ask(run, plan, title, channels)
        asked = [answer for answer in answers if _tasks_of(answer)]
        if asked:
            fresh = any(answer.source == "agent" for answer in asked)
            source = TaskSource.AGENT if fresh else TaskSource.CACHE
            return _Choice(source, [task for answer in asked for task in _tasks_of(answer)], answers)
        generated = tasks_of_opportunities(plan.opportunities, channels)
        if generated:
            return _Choice(TaskSource.GENERATED, generated, answers)
        return _Choice(TaskSource.MINIMAL, minimal_tasks(plan, channels), answers)

    def _ask(self, run: JobRun, plan: AnalysisPlan, title: str, channels: Sequence[str]) -> list[ChannelAnswer]:
        questions = [
            Question(purpose="phase1", channel=channel, title=title, context="", plan=plan) for channel in channels
        ]
        timeouts = self._agents.limit(run, questions)
        # A tenth of the attempt is kept back, so that a fallback is still written within it.
        until = run.deadline.within(run.deadline.remaining_seconds * 0.9)
        answers = self._agents.ask(questions, until, run.claim, timeouts, may_postpone=run.may_postpone)
        run.advance(60)
        errors: list[MarketplaceError] = [answer.error for answer in answers if answer.error is not None]
        retried = next((error for error in errors if run.will_retry(error)), None)
        if retried is not None:
            raise retried
        return answers

    def _write(self, connection: Connection, run: JobRun, choice: _Choice) -> Mapping[str, object]:
        claim = run.claim
        if not set_latch(connection, claim.plan_id, claim.job_id):
            return {"source": ALREADY_CREATED, "taskCount": 0, "taskIds": []}
        insert_tasks(
            self._database,
            connection,
            choice.tasks,
            plan_id=claim.plan_id,
            job_id=claim.job_id,
            fence=claim.fence,
            source=choice.source,
        )
        result: dict[str, object] = {
            "source": choice.source,
            "taskCount": len(choice.tasks),
            "taskIds": [str(task_id(claim.plan_id, task.item_key)) for task in choice.tasks],
            "needsReview": any(task.needs_review for task in choice.tasks),
        }
        if choice.answers:
            result["agents"] = [answer.report() for answer in choice.answers]
        return result

    def _count(self, result: Mapping[str, object]) -> None:
        if result["source"] != ALREADY_CREATED:
            self._metrics.count(TASKS_CREATED, int(str(result["taskCount"])), source=str(result["source"]))


def _tasks_of(answer: ChannelAnswer) -> list[Task]:
    """Return the tasks of phase 1 in an agent's answer."""
    phase = None if answer.plan is None else answer.plan.phase(PHASE)
    return [] if phase is None else tasks_of_phase(phase, [answer.channel])
