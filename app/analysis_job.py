"""The analysis job: every channel's agent is asked at once, and their answers become one plan.

A channel whose agent fails falls back to that agent's last good answer to the same question, else stays empty and is
named in the plan's notes. When no channel has anything, the attempt is a failure, unless no agent was even asked
because their circuits are open: then the plan is empty, and says so.
docs/decisions/analysis-fallback.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from sqlalchemy import Connection

from app.agent_round import AgentRound, ChannelAnswer
from app.agents.question import Question
from app.domain.errors import BadAnswerError, CircuitOpenError, NotFoundError
from app.domain.plan import MAX_ITEMS, MAX_TEXT, AnalysisPlan, Phase
from app.domain.spans import format_span
from app.job_execution import Finished
from app.job_runs import JobRun
from app.storage.database import Database
from app.storage.plans import finish_analysis, plan_by_id


class AnalysisJob:
    """Body of `analysis` jobs; safe to use from many threads."""

    def __init__(self, database: Database, agents: AgentRound) -> None:
        self._database = database
        self._agents = agents

    def __call__(self, run: JobRun) -> Finished:
        """Ask the agents.

        Raises:
            AgentBusyError: An agent is busy; the job is put off.
            MarketplaceError: No channel has an answer; this is what the first agent that failed did.
            DatabaseUnavailableError: The request could not be read.
        """
        with self._database.read() as connection:
            row = plan_by_id(connection, run.claim.plan_id)
        if row is None:
            raise NotFoundError("the plan of this job is gone")
        questions = [
            Question(purpose="analysis", channel=channel, title=row.title, context=row.context or "", plan=None)
            for channel in row.channels
        ]
        timeouts = self._agents.limit(run, questions)
        run.advance(10)
        # A twentieth of the attempt is kept back, so that what was answered in time is still written within it.
        until = run.deadline.within(run.deadline.remaining_seconds * 0.95)
        answers = self._agents.ask(questions, until, run.claim, timeouts, may_postpone=run.may_postpone)
        run.advance(90)
        if all(answer.plan is None for answer in answers):
            _raise_unless_refused(run, answers)
        plan, notes = merge(answers), notes_of(answers)
        result = {
            "channels": [answer.report() for answer in answers],
            "fallback": any(answer.is_fallback for answer in answers),
            "opportunityCount": len(plan.opportunities),
            "phaseCount": len(plan.phases),
        }

        def write(connection: Connection) -> Mapping[str, object]:
            plan_data = plan.model_dump(mode="json", by_alias=True)
            finish_analysis(connection, run.claim.plan_id, plan_data=plan_data, notes=notes)
            return result

        return Finished(write)


def _raise_unless_refused(run: JobRun, answers: Sequence[ChannelAnswer]) -> None:
    errors = [answer.error for answer in answers if answer.error is not None]
    if errors and all(isinstance(error, CircuitOpenError) for error in errors):
        return
    # One that another attempt may mend decides over one that it cannot.
    raise next(filter(run.will_retry, errors), None) or next(
        iter(errors), BadAnswerError("no agent serves any channel of this plan")
    )


def merge(answers: Sequence[ChannelAnswer]) -> AnalysisPlan:
    """Return the channels' plans as one: opportunities carry their channel, phases of one number become one phase."""
    plans = [(answer.channel, answer.plan) for answer in answers if answer.plan is not None]
    several = len(plans) > 1
    opportunities = [
        opportunity.model_copy(update={"agent": channel})
        for channel, plan in plans
        for opportunity in plan.opportunities
    ]
    summaries = [f"{channel}: {plan.summary}" if several else plan.summary for channel, plan in plans if plan.summary]
    return AnalysisPlan(
        summary="\n".join(summaries)[:MAX_TEXT],
        channels=tuple(answer.channel for answer in answers),
        opportunities=tuple(opportunities[:MAX_ITEMS]),
        phases=_merge_phases([(channel if several else "", phase) for channel, plan in plans for phase in plan.phases]),
        metrics=tuple(list(chain.from_iterable(plan.metrics for _, plan in plans))[:MAX_ITEMS]),
    )


def notes_of(answers: Sequence[ChannelAnswer]) -> list[str]:
    """Return what a person who decides on the plan must know of how it came about."""
    notes = []
    for answer in answers:
        if answer.error is not None:
            refused = isinstance(answer.error, CircuitOpenError)
            happened = "was not asked, its circuit is open" if refused else f"failed ({answer.error.code})"
            notes.append(f"{answer.channel}: the agent {happened}; {_stand_in(answer)}")
        notes += [f"{answer.channel}: {note}" for note in answer.notes]
    return notes


def _stand_in(answer: ChannelAnswer) -> str:
    if answer.age_seconds is None:
        return "this channel is empty"
    return f"its last good answer is used, {format_span(answer.age_seconds)} old"


def _merge_phases(phases: Sequence[tuple[str, Phase]]) -> tuple[Phase, ...]:
    merged: dict[int, Phase] = {}
    for channel, phase in phases:
        tasks = tuple(f"{channel}: {task}"[:MAX_TEXT] if channel else task for task in phase.tasks)
        before = merged.get(phase.number)
        if before is None:
            merged[phase.number] = phase.model_copy(update={"tasks": tasks})
        else:
            merged[phase.number] = before.model_copy(update={"tasks": (before.tasks + tasks)[:MAX_ITEMS]})
    return tuple(merged[number] for number in sorted(merged))
