"""A run of calls under one policy of timeouts; a policy sees only what its own limits let it see."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from app.agent_timeouts import learning_of
from app.domain.learned_timeout import CallSample, LearnedTimeout, Learning, learn_timeout
from app.domain.timeout_rule import TimeoutRule
from app.settings import TimeoutSettings
from tests.timeouts.workloads import Workload

_SETTINGS = TimeoutSettings()
_LEARNING = learning_of(_SETTINGS)

#: Outside of the peak hours, with a quiet breaker: what the rule says at its shortest.
_QUIET = datetime(2026, 11, 27, 3, tzinfo=UTC)


class Policy(Protocol):
    """Says how long to wait, and is told what became of the call."""

    def limit(self, size: int) -> float: ...

    def note(self, sample: CallSample) -> None: ...


class Fixed:
    """The same for every call."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def limit(self, size: int) -> float:  # noqa: ARG002 -- a policy's signature
        return self._seconds

    def note(self, sample: CallSample) -> None:
        pass


class Ruled:
    """The rule of the product."""

    def __init__(self) -> None:
        self._rule = TimeoutRule()

    def limit(self, size: int) -> float:
        return self._rule.timeout(opportunities=size, transitions=0, at=_QUIET).seconds

    def note(self, sample: CallSample) -> None:
        pass


class Learned:
    """The estimator of the product, with the rows that the product reads; the rule while it is cold."""

    def __init__(self, chance: Random, learning: Learning = _LEARNING, *, refreshed_every: int = 20) -> None:
        self._chance = chance
        self._learning = learning
        self._newest: deque[CallSample] = deque(maxlen=_SETTINGS.newest_calls)
        self._watched: deque[CallSample] = deque(maxlen=_SETTINGS.watched_calls)
        self._refreshed_every = refreshed_every
        self._since = 0
        self._rule = Ruled()
        self.bound: LearnedTimeout | None = None

    def limit(self, size: int) -> float:
        if self.bound is None:
            return self._rule.limit(size)
        if self._chance.random() < _SETTINGS.probe_share:
            return self._learning.most_seconds
        return self.bound.seconds(size)

    def note(self, sample: CallSample) -> None:
        if len(self._newest) == self._newest.maxlen and self._newest[-1].limit_seconds >= self._learning.most_seconds:
            self._watched.appendleft(self._newest[-1])
        self._newest.appendleft(sample)
        self._since += 1
        if self._since >= self._refreshed_every:
            self._since = 0
            self.bound = learn_timeout([*self._newest, *self._watched], self._learning)


@dataclass
class Outcome:
    """What a policy did to the calls: healthy ones cut off, and seconds waited for nothing."""

    calls: int = 0
    healthy: int = 0
    cut: int = 0
    wasted_seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.calls + other.calls,
            self.healthy + other.healthy,
            self.cut + other.cut,
            self.wasted_seconds + other.wasted_seconds,
        )

    @property
    def cut_share(self) -> float:
        return self.cut / self.healthy if self.healthy else 0.0

    @property
    def wasted_per_thousand(self) -> float:
        return 1000 * self.wasted_seconds / self.calls if self.calls else 0.0


def run(policy: Policy, workload: Workload, *, hang_share: float, calls: int, seed: str) -> Outcome:
    """Make the calls one after another; the same seed draws the same calls for every policy."""
    chance, outcome = Random(seed), Outcome()
    for number in range(calls):
        size, needed = workload.draw(chance, number / calls)
        hangs = chance.random() < hang_share
        limit = policy.limit(size)
        answered = not hangs and needed <= limit
        outcome.calls += 1
        outcome.healthy += not hangs
        if not answered:
            outcome.cut += not hangs
            outcome.wasted_seconds += limit
        policy.note(CallSample(size, min(needed, limit) if not hangs else limit, limit, answered))
    return outcome
