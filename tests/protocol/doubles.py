"""What the protocol must not trust: the clock, the queue of hints, the answer to a COMMIT, the wording of agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from app.agent_round import AgentRound, ChannelAnswer
from app.agents.question import Question
from app.domain.agent_timeouts import AgentTimeout
from app.domain.deadline import Deadline
from app.domain.errors import DatabaseUnavailableError, RedisUnavailableError
from app.domain.plan import AnalysisPlan
from app.job_queue.hints import HintQueue
from app.job_runs import JobRun
from app.storage.database import Database
from app.storage.transitions import Claim
from tests.postgres_clock import PostgresClock

#: 2033, so that no test depends on the real time.
_BEGINNING_MS = 2_000_000_000_000


class Clock:
    """The database's clock, in milliseconds since 1970, and one that nobody can set; they stand still until moved."""

    def __init__(self) -> None:
        self.now_ms = _BEGINNING_MS
        self.monotonic_seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.monotonic_seconds += seconds
        self.set_by(seconds)

    def set_by(self, seconds: float) -> None:
        """Set the database's clock forward, or back."""
        self.now_ms += round(seconds * 1000)

    def close(self) -> None:
        """Close what the clock needs."""


class StandingPostgresClock(Clock):
    """The same for PostgreSQL, whose clock stands in the database."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._replaced = PostgresClock(url, stands=True)
        self.set_by(0)

    def set_by(self, seconds: float) -> None:
        super().set_by(seconds)
        self._replaced.set(self.now_ms)

    def close(self) -> None:
        self._replaced.close()


class Hint(NamedTuple):
    """What a worker gets to know."""

    job_id: UUID
    crash_count: int


class Hints(HintQueue):
    """The queue of hints, which may lose them, repeat them, or be away."""

    def __init__(self) -> None:
        self.waiting_hints: list[Hint] = []
        self.is_away = False
        self._has_epoch = False

    def send(self, queue: str, job_id: UUID, *, crash_count: int = 0) -> None:  # noqa: ARG002 -- the signature of the real one
        self._check()
        self.waiting_hints.append(Hint(job_id, crash_count))

    def waiting(self, queue: str) -> int:  # noqa: ARG002 -- the signature of the real one
        self._check()
        return len(self.waiting_hints)

    def begin_epoch(self, epoch: str) -> bool:  # noqa: ARG002 -- the signature of the real one
        self._check()
        is_new, self._has_epoch = not self._has_epoch, True
        return is_new

    def lose_everything(self) -> None:
        """Be as empty as a new server."""
        self.waiting_hints.clear()
        self._has_epoch = False

    def _check(self) -> None:
        if self.is_away:
            raise RedisUnavailableError("Redis: away")


class DoubtfulDatabase(Database):
    """A database whose next commits fail, some after they were done.

    `doubts` has one entry per commit that fails: True when it took effect nevertheless.
    """

    doubts: Sequence[bool] = ()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
            doubts, self.doubts = self.doubts[:1], self.doubts[1:]
            if doubts == (False,):
                raise DatabaseUnavailableError("the connection broke before COMMIT")
        if doubts:
            raise DatabaseUnavailableError("the connection broke after COMMIT")


class Wordings(AgentRound):
    """Agents that word every answer differently, and never name the same number of tasks twice in a row."""

    def __init__(self) -> None:
        self._asked = 0

    def limit(self, _run: JobRun, _questions: Sequence[Question]) -> Mapping[str, AgentTimeout]:
        return {}

    def ask(
        self,
        questions: Sequence[Question],
        _deadline: Deadline,
        _claim: Claim,
        _timeouts: Mapping[str, AgentTimeout] | None = None,
        *,
        may_postpone: Callable[[], bool] = lambda: False,  # noqa: ARG002 -- these agents are never busy
    ) -> list[ChannelAnswer]:
        self._asked += 1
        tasks = [f"Wording {self._asked}, task {number}" for number in range(1 + self._asked % 3)]
        plan = AnalysisPlan.model_validate({"phases": [{"number": 1, "name": "Begin", "tasks": tasks}]})
        return [ChannelAnswer(question.channel, "agent", plan) for question in questions]
