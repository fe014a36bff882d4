"""The time limit of an attempt that asks agents: it follows from theirs, and is stored with the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from app.agent_timeouts import AgentTimeouts
from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.domain.agent_timeouts import AgentTimeout
from app.domain.deadline import Deadline
from app.domain.errors import DatabaseUnavailableError
from app.domain.jobs import JobKind
from app.job_runs import JobRun
from app.storage.database import Database
from app.storage.transitions import set_limit

_log = structlog.stdlib.get_logger(__name__)

#: An attempt has this much more time than its agents, a part of it and seconds, to write what they answered.
_WRITING_SHARE, _WRITING_SECONDS = 0.05, 1.0


class AttemptLimits:
    """Sets the limits of attempts; safe to use from many threads."""

    def __init__(self, database: Database, gateway: AgentGateway, timeouts: AgentTimeouts) -> None:
        self._database = database
        self._gateway = gateway
        self._timeouts = timeouts

    def set_for(self, run: JobRun, questions: Sequence[Question]) -> Mapping[str, AgentTimeout]:
        """Return the timeout of each agent that these questions go to, and store them with the job.

        An analysis ends when the slowest of its agents must have answered; the limit of other attempts stays as it is.
        No attempt gets more time than it had. That the breakdown could not be written is logged, and no error.
        """
        timeouts = {}
        for question in questions:
            agent = self._gateway.agent_for(question.channel)
            if agent is not None:
                timeouts[agent] = self._timeouts.timeout(agent, question)
        if not timeouts:
            return {}
        claim = run.claim
        seconds = claim.timeout_seconds
        if claim.kind is JobKind.ANALYSIS:
            longest = max(timeout.seconds for timeout in timeouts.values())
            seconds = min(seconds, longest / (1 - _WRITING_SHARE) + _WRITING_SECONDS)
            run.deadline = Deadline(min(run.deadline.at, Deadline.after(seconds).at))
        reason = {
            "mode": next(iter(timeouts.values())).mode,
            "attempt": claim.attempt_number,
            "attemptSeconds": claim.timeout_seconds,
            "agents": [timeout.report() for timeout in timeouts.values()],
        }
        _log.info("attempt_limited", timeout_seconds=round(seconds, 3), timeout_reason=reason)
        self._store(run, round(seconds, 3), reason)
        return timeouts

    def _store(self, run: JobRun, seconds: float, reason: Mapping[str, object]) -> None:
        claim = run.claim
        try:
            with self._database.write() as connection:
                if not set_limit(connection, claim.job_id, claim.fence, seconds=seconds, reason=reason):
                    run.lose()
        except DatabaseUnavailableError as error:
            _log.warning("attempt_limit_not_written", reason=str(error))
