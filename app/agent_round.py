"""One round of questions to the agents of several channels, in parallel, with their last good answers as fallback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.attempt_limits import AttemptLimits
from app.domain.agent_timeouts import AgentTimeout
from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError
from app.domain.plan import AnalysisPlan
from app.job_runs import JobRun
from app.storage.answers import keep_answer, kept_answer
from app.storage.database import Database
from app.storage.transitions import Claim

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class ChannelAnswer:
    """What is known of one channel.

    `plan` is None when there is neither an answer nor a kept one; `error` is what the agent did instead of answering.
    """

    channel: str
    source: Literal["agent", "cache", "none"]
    plan: AnalysisPlan | None = None
    notes: tuple[str, ...] = ()
    error: MarketplaceError | None = None
    answered_at: datetime | None = None

    def report(self) -> dict[str, object]:
        """Return what a job's result says of this channel, as camelCase JSON."""
        report: dict[str, object] = {"channel": self.channel, "source": self.source}
        if self.error is not None:
            report |= {"errorCode": self.error.code, "error": str(self.error)[:500]}
        if self.source == "cache" and self.answered_at is not None:
            report["answeredAt"] = self.answered_at.isoformat().replace("+00:00", "Z")
        return report


class AgentRound:
    """Asks agents; an answer is kept at once, so that a retry or a later job has it to fall back on."""

    def __init__(
        self, database: Database, gateway: AgentGateway, *, cache_seconds: float, limits: AttemptLimits | None = None
    ) -> None:
        self._database = database
        self._gateway = gateway
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
    ) -> list[ChannelAnswer]:
        """Return one answer per question, in the same order, by the deadline; no error of an agent is raised.

        What an earlier attempt of the same job was answered is not asked again.

        Raises:
            DatabaseUnavailableError: Answers could not be kept or looked up.
        """
        if not questions:
            return []
        with ThreadPoolExecutor(len(questions), thread_name_prefix="agent") as pool:
            futures = [
                pool.submit(copy_context().run, self._ask_one, question, deadline, claim, timeouts or {})
                for question in questions
            ]
            return [future.result() for future in futures]

    def _ask_one(
        self, question: Question, deadline: Deadline, claim: Claim, timeouts: Mapping[str, AgentTimeout]
    ) -> ChannelAnswer:
        agent = self._gateway.agent_for(question.channel)
        if agent is None:
            return ChannelAnswer(question.channel, "none")
        if claim.attempt_number > 1:
            kept = self._kept(agent, question)
            if kept is not None and kept[1] >= claim.created_at:
                return ChannelAnswer(question.channel, "agent", kept[0], answered_at=kept[1])
        try:
            answer = self._gateway.ask(
                agent, question, deadline, is_retry=claim.error_count > 0, timeout=timeouts.get(agent)
            )
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
        if kept is None:
            return ChannelAnswer(question.channel, "none", error=error)
        plan, answered_at = kept
        _log.warning("kept_answer_used", agent=agent, error_code=error.code, answered_at=answered_at.isoformat())
        return ChannelAnswer(question.channel, "cache", plan, error=error, answered_at=answered_at)

    def _kept(self, agent: str, question: Question) -> tuple[AnalysisPlan, datetime] | None:
        with self._database.read() as connection:
            kept = kept_answer(
                connection,
                agent=agent,
                purpose=question.purpose,
                digest=question.digest(),
                newer_than_seconds=self._cache_seconds,
            )
        return None if kept is None else (AnalysisPlan.model_validate(kept[0]), kept[1])
