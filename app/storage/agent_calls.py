"""Calls to agents: how each one ended, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, case, delete, func, insert, select

from app.domain.agent_timeouts import AgentCall
from app.domain.errors import BadAnswerError, DeadlineExceededError
from app.domain.learned_timeout import CallSample
from app.storage.clock import now_plus, once_now_plus
from app.storage.schema import agent_calls

#: An answer that nobody can use took its time like any other.
_ANSWERED = ("ok", BadAnswerError.code)

#: Outcomes that tell how long an agent takes; a refused connection or a broken one tells nothing.
_TELLING = (*_ANSWERED, DeadlineExceededError.code)

_SAMPLE = (agent_calls.c.id, agent_calls.c.size, agent_calls.c.seconds, agent_calls.c.limit_seconds)


def insert_calls(connection: Connection, calls: Sequence[AgentCall]) -> None:
    """Write calls that have just ended; there must be one at least."""
    connection.execute(
        insert(agent_calls).values(called_at=now_plus()),
        [
            {
                "id": uuid4(),
                "agent": call.agent,
                "purpose": call.purpose,
                "size": call.size,
                "seconds": call.seconds,
                "limit_seconds": call.limit_seconds,
                "outcome": call.outcome,
                "probe": call.probe,
            }
            for call in calls
        ],
    )


def read_samples(
    connection: Connection, agent: str, purpose: str, *, newest: int, watched: int, whole_seconds: float
) -> list[CallSample]:
    """Return the newest calls, newest first, and after them older ones that had at least `whole_seconds`.

    Only those that tell how long the agent takes; at most `newest` and `watched` of them, for there may be far more.
    """
    of_agent = (
        select(*_SAMPLE, agent_calls.c.outcome)
        .where(agent_calls.c.agent == agent, agent_calls.c.purpose == purpose, agent_calls.c.outcome.in_(_TELLING))
        .order_by(agent_calls.c.called_at.desc(), agent_calls.c.id.desc())
    )
    rows = list(connection.execute(of_agent.limit(newest)).all())
    known = {row.id for row in rows}
    if len(rows) == newest:
        whole = of_agent.where(agent_calls.c.limit_seconds >= whole_seconds).limit(newest + watched)
        rows += [row for row in connection.execute(whole).all() if row.id not in known][:watched]
    return [CallSample(row.size, row.seconds, row.limit_seconds, row.outcome in _ANSWERED) for row in rows]


class CallCounts(NamedTuple):
    """Calls that an agent had within some time, over all processes, and how many of them failed."""

    calls: int
    failures: int

    @property
    def error_rate(self) -> float | None:
        """The share of calls that failed, 0 to 1; None when there were none.

        >>> CallCounts(4, 1).error_rate, CallCounts(0, 0).error_rate
        (0.25, None)
        """
        return self.failures / self.calls if self.calls else None


def count_calls(connection: Connection, *, within_seconds: float) -> Mapping[str, CallCounts]:
    """Return how many calls each agent had within the last seconds; none that had none."""
    counted = (
        select(
            agent_calls.c.agent,
            func.count().label("calls"),
            func.sum(case((agent_calls.c.outcome == "ok", 0), else_=1)).label("failures"),
        )
        .where(agent_calls.c.called_at > once_now_plus(-within_seconds))
        .group_by(agent_calls.c.agent)
    )
    return {row.agent: CallCounts(row.calls, int(row.failures)) for row in connection.execute(counted)}


def forget_calls(connection: Connection, *, older_than_seconds: float) -> int:
    """Delete the calls that nobody learns from any more; returns how many."""
    return connection.execute(
        delete(agent_calls).where(agent_calls.c.called_at <= once_now_plus(-older_than_seconds))
    ).rowcount
