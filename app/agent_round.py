"""One round of questions to the agents of several channels, in parallel, with their last good answers as fallback."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError
from app.domain.plan import AnalysisPlan
from app.metrics import FALLBACKS, LiveMetrics
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
        self, database: Database, gateway: AgentGateway, metrics: LiveMetrics, *, cache_seconds: float
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._metrics = metrics
        self._cache_seconds = cache_seconds

    def ask(self, questions: Sequence[Question], deadline: Deadline, claim: Claim) -> list[ChannelAnswer]:
        """Return one answer per question, in the same order, by the deadline; no error of an agent is raised.

        What an earlier attempt of the same job was answered is not asked again.

        Raises:
            DatabaseUnavailableError: Answers could not be kept or looked up.
        """
        if len(questions) <= 1:
            return [self._ask_one(question, deadline, claim) for question in questions]
        with ThreadPoolExecutor(len(questions), thread_name_prefix="agent") as pool:
            futures = [
                pool.submit(copy_context().run, self._ask_one, question, deadline, claim) for question in questions
            ]
            return [future.result() for future in futures]

    def _ask_one(self, question: Question, deadline: Deadline, claim: Claim) -> ChannelAnswer:
        agent = self._gateway.agent_for(question.channel)
        if agent is None:
            return ChannelAnswer(question.channel, "empty")
        if claim.attempt_number > 1:
            kept = self._kept(agent, question)
            if kept is not None and kept.answered_at >= claim.created_at:
                return ChannelAnswer(question.channel, "agent", _plan_of(kept), answered_at=kept.answered_at)
        try:
            answer = self._gateway.ask(agent, question, deadline, is_retry=claim.error_count > 0)
        except MarketplaceError as error:
            return self._fall_back(agent, question, error)
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
