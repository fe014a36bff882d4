"""One round of questions to the agents of several channels, in parallel, with their last good answers as fallback."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from app.agents.bulkhead import Permit
from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.attempt_limits import AttemptLimits
from app.domain.agent_timeouts import AgentTimeout
from app.domain.deadline import Deadline
from app.domain.errors import AgentBusyError, CircuitOpenError, MarketplaceError
from app.domain.plan import AnalysisPlan
from app.job_runs import JobRun
from app.live_metrics import LiveMetrics
from app.metrics import FALLBACKS, REFUSAL_DURATION
from app.storage.answers import KeptAnswer, keep_answer, kept_answer
from app.storage.database import Database
from app.storage.transitions import Claim

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class ChannelAnswer:
    """What is known of one channel.

    `source` tells where it comes from: the agent, now or in an earlier attempt of the job; the cache of last good
    answers; or nowhere, and then `plan` is None. `error` is why the agent did not answer.
    """

    channel: str
    source: Literal["agent", "cache", "empty"]
    plan: AnalysisPlan | None = None
    notes: tuple[str, ...] = ()
    error: MarketplaceError | None = None
    answered_at: datetime | None = None
    age_seconds: float | None = None

    @property
    def is_fallback(self) -> bool:
        """Whether something else stands in for the agent's answer."""
        return self.source != "agent"

    def report(self) -> dict[str, object]:
        """Return what a job's result says of this channel, as camelCase JSON."""
        report: dict[str, object] = {"channel": self.channel, "source": self.source, "fallback": self.is_fallback}
        if self.error is not None:
            report |= {"errorCode": self.error.code, "error": str(self.error)[:500]}
        if self.source == "cache" and self.answered_at is not None:
            report["answeredAt"] = self.answered_at.isoformat().replace("+00:00", "Z")
            report["ageSeconds"] = round(self.age_seconds or 0.0)
        return report


class AgentRound:
    """Asks agents; an answer is kept at once, so that a retry or a later job has it to fall back on."""

    def __init__(
        self,
        database: Database,
        gateway: AgentGateway,
        metrics: LiveMetrics,
        *,
        cache_seconds: float,
        limits: AttemptLimits | None = None,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._metrics = metrics
        self._cache_seconds = cache_seconds
        self._limits = limits

    def limit(self, run: JobRun, questions: Sequence[Question]) -> Mapping[str, AgentTimeout]:
        """Set the time limit of an attempt that will ask these questions; return the timeout of each agent."""
        return {} if self._limits is None else self._limits.set_for(run, questions)

    def ask(
        self,
        questions: Sequence[Question],
        deadline: Deadline,
        claim: Claim,
        timeouts: Mapping[str, AgentTimeout] | None = None,
        *,
        may_postpone: Callable[[], bool] = lambda: False,
    ) -> list[ChannelAnswer]:
        """Return one answer per question, in the same order, by the deadline; no error of an agent is raised.

        What an earlier attempt of the same job was answered is not asked again. When one of the other agents is busy,
        none is asked if the job may be postponed; else that one counts as an agent that failed.

        Raises:
            AgentBusyError: An agent is busy, and the job may be postponed.
            DatabaseUnavailableError: Answers could not be kept or looked up.
        """
        known = {question.channel: self._known(question, claim) for question in questions}
        left = [question for question in questions if known[question.channel] is None]
        agents = {question.channel: self._gateway.agent_for(question.channel) or "" for question in left}
        permits, busy = self._gateway.reserve(agents.values(), left[0].purpose) if left else ({}, [])
        try:
            if busy and may_postpone():
                raise _busy(busy, self._gateway.turn_seconds(busy, left[0].purpose))
            asked = self._ask_all(left, agents, permits, busy, deadline, claim, timeouts or {})
        finally:
            for permit in permits.values():
                permit.give_back()
        return [known[question.channel] or asked[question.channel] for question in questions]

    def _known(self, question: Question, claim: Claim) -> ChannelAnswer | None:
        """Return what there is to say of a channel without asking its agent now, or None."""
        agent = self._gateway.agent_for(question.channel)
        if agent is None:
            return ChannelAnswer(question.channel, "empty")
        kept = self._kept(agent, question) if claim.attempt_number > 1 else None
        if kept is None or kept.answered_at < claim.created_at:
            return None
        return ChannelAnswer(question.channel, "agent", _plan_of(kept), answered_at=kept.answered_at)

    def _ask_all(
        self,
        questions: Sequence[Question],
        agents: Mapping[str, str],
        permits: Mapping[str, Permit],
        busy: Collection[str],
        deadline: Deadline,
        claim: Claim,
        timeouts: Mapping[str, AgentTimeout],
    ) -> dict[str, ChannelAnswer]:
        """Return the answer of each channel; that of a busy agent is what was kept of it."""
        if not questions:
            return {}

        def ask(question: Question) -> ChannelAnswer:
            agent = agents[question.channel]
            if agent in busy:
                return self._fall_back(agent, question, _busy([agent]))
            # Given back at once: the other agents of the round may take much longer.
            with permits.get(agent) or nullcontext():
                return self._ask_one(agent, question, deadline, claim, timeouts.get(agent))

        if len(questions) == 1:
            # A thread would only cost time, most of all when the agent's circuit is open.
            return {questions[0].channel: ask(questions[0])}
        with ThreadPoolExecutor(len(questions), thread_name_prefix="agent") as pool:
            futures = [pool.submit(copy_context().run, ask, question) for question in questions]
            return {answer.channel: answer for answer in (future.result() for future in futures)}

    def _ask_one(
        self, agent: str, question: Question, deadline: Deadline, claim: Claim, timeout: AgentTimeout | None
    ) -> ChannelAnswer:
        started = time.perf_counter()
        try:
            answer = self._gateway.ask(
                agent, question, deadline, is_retry=claim.error_count > 0, timeout=timeout, job_id=claim.job_id
            )
        except MarketplaceError as error:
            answer_instead = self._fall_back(agent, question, error)
            if isinstance(error, CircuitOpenError):
                self._metrics.observe(REFUSAL_DURATION, time.perf_counter() - started, agent=agent)
            return answer_instead
        with self._database.write() as connection:
            keep_answer(
                self._database,
                connection,
                agent=agent,
                purpose=question.purpose,
                digest=question.digest(),
                answer=answer.plan.model_dump(mode="json", by_alias=True),
            )
        return ChannelAnswer(question.channel, "agent", answer.plan, answer.notes)

    def _fall_back(self, agent: str, question: Question, error: MarketplaceError) -> ChannelAnswer:
        kept = self._kept(agent, question)
        self._metrics.count(FALLBACKS, agent=agent, source="empty" if kept is None else "cache")
        if kept is None:
            return ChannelAnswer(question.channel, "empty", error=error)
        _log.warning("kept_answer_used", agent=agent, error_code=error.code, age_seconds=kept.age_seconds)
        return ChannelAnswer(
            question.channel,
            "cache",
            _plan_of(kept),
            error=error,
            answered_at=kept.answered_at,
            age_seconds=kept.age_seconds,
        )

    def _kept(self, agent: str, question: Question) -> KeptAnswer | None:
        with self._database.read() as connection:
            return kept_answer(
                connection,
                agent=agent,
                purpose=question.purpose,
                digest=question.digest(),
                newer_than_seconds=self._cache_seconds,
            )


def _plan_of(kept: KeptAnswer) -> AnalysisPlan:
    return AnalysisPlan.model_validate(kept.answer)


def _busy(agents: Collection[str], turn_seconds: float = 0.0) -> AgentBusyError:
    return AgentBusyError(f"{', '.join(agents)}: as many calls as this process may make at once", turn_seconds)
