"""Bulkhead: an agent that hangs takes up its share of a process's threads, and no more.

docs/decisions/bulkhead.md
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeAlias

from app.agents.configuration import AgentConfig
from app.agents.question import Purpose
from app.domain.jobs import JobKind
from app.domain.retry import LONGEST_POSTPONEMENT_SECONDS
from app.live_metrics import LiveMetrics
from app.metrics import AGENT_IN_FLIGHT, AGENT_REFUSED

#: How long a thread waits for a busy agent that is quick: longer than most calls to it, so that a burst of
#: jobs is worked off one after the other, and short enough to leave the thread to others.
PATIENCE_SECONDS = 0.2

#: An agent is quick while a call to it that took less than this has ended less than this ago, in seconds. One that
#: hangs ends calls too, but only after their timeouts.
_QUICK_SECONDS = 1.0

#: How much a new call weighs in the mean duration of calls, and the mean before there is one, in seconds.
_NEWEST_SHARE = 0.2
_FIRST_SECONDS = 1.0

#: Turns follow each other in this share of the time that a place takes to get free: a few jobs come in vain, and hardly
#: a place is free with nobody there to take it.
_TURN_SHARE = 0.6

#: No turn is given for later than this: a line that is longer begins anew then.
_LONGEST_LINE_SECONDS = LONGEST_POSTPONEMENT_SECONDS

#: An agent, and the kind of job that asks it.
_Place: TypeAlias = tuple[str, str]


class Permit:
    """Leave to call one agent once; as a context it is given back at the end, once, however often it is entered."""

    def __init__(self, bulkhead: Bulkhead, agent: str, purpose: Purpose) -> None:
        self._bulkhead = bulkhead
        self._place = (agent, purpose)
        self._taken_at = time.monotonic()
        self._given_back = False

    def give_back(self) -> None:
        """Let somebody else call the agent; by the thread that calls it."""
        if not self._given_back:
            self._given_back = True
            self._bulkhead.give_back(*self._place, held_seconds=time.monotonic() - self._taken_at)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.give_back()


class Bulkhead:
    """Counts the calls that this process makes, by agent and kind of job; safe to use from many threads.

    `threads` says how many jobs of each kind run here at once. Of those, `share` (> 0, <= 1) may call the same agent,
    at least one; an agent's own `max_concurrent_calls` goes before that. Without `threads` there is no such limit.
    """

    def __init__(
        self,
        agents: Iterable[AgentConfig],
        threads: Mapping[JobKind, int] | None,
        *,
        share: float,
        metrics: LiveMetrics,
    ) -> None:
        self._limits: dict[_Place, int] = {
            (agent.name, kind): agent.max_concurrent_calls or max(1, int(count * share))
            for agent in agents
            for kind, count in (threads or {}).items()
        }
        self._calls: Counter[_Place] = Counter()
        self._was_quick_at: dict[_Place, float] = {}
        self._mean_seconds: dict[_Place, float] = {}
        self._last_turn_at: dict[_Place, float] = {}
        self._metrics = metrics
        self._changed = threading.Condition()

    def take(self, agents: Collection[str], purpose: Purpose) -> tuple[dict[str, Permit], list[str]]:
        """Return permits to call these agents, and the agents that are busy.

        When all busy ones are quick, room is waited for, for `PATIENCE_SECONDS` at most; an agent that is slow or hangs
        is never waited for. Nothing is held meanwhile.
        """
        with self._changed:
            busy = self._busy(agents, purpose)
            if busy and all(self._is_quick((agent, purpose)) for agent in busy):
                self._changed.wait_for(lambda: not self._busy(agents, purpose), PATIENCE_SECONDS)
                busy = self._busy(agents, purpose)
            free = [agent for agent in agents if agent not in busy]
            self._calls.update((agent, purpose) for agent in free)
        for agent in busy:
            self._metrics.count(AGENT_REFUSED, agent=agent, kind=purpose)
        for agent in free:
            self._metrics.add(AGENT_IN_FLIGHT, 1, agent=agent, kind=purpose)
        return {agent: Permit(self, agent, purpose) for agent in free}, busy

    def turn_seconds(self, agents: Collection[str], purpose: Purpose) -> float:
        """Return after how long there may be room at all of these agents, for whoever asks now: turns are a line.

        They follow each other as fast as calls have ended of late.
        """
        now = time.monotonic()
        with self._changed:
            return max((self._turn_at((agent, purpose), now) - now for agent in agents), default=0.0)

    def _turn_at(self, place: _Place, now: float) -> float:
        free_every = self._mean_seconds.get(place, _FIRST_SECONDS) / self._limits.get(place, 1)
        turn_at = max(self._last_turn_at.get(place, now), now) + free_every * _TURN_SHARE
        if turn_at > now + _LONGEST_LINE_SECONDS:
            return now + _LONGEST_LINE_SECONDS
        self._last_turn_at[place] = turn_at
        return turn_at

    def give_back(self, agent: str, purpose: Purpose, *, held_seconds: float) -> None:
        """Note the end of a call that took so long."""
        with self._changed:
            self._calls[agent, purpose] -= 1
            place = agent, purpose
            mean = self._mean_seconds.get(place, held_seconds)
            self._mean_seconds[place] = mean + _NEWEST_SHARE * (held_seconds - mean)
            if held_seconds < _QUICK_SECONDS:
                self._was_quick_at[place] = time.monotonic()
            self._changed.notify_all()
        self._metrics.add(AGENT_IN_FLIGHT, -1, agent=agent, kind=purpose)

    def _busy(self, agents: Iterable[str], purpose: Purpose) -> list[str]:
        places = ((agent, self._limits.get((agent, purpose))) for agent in agents)
        return [agent for agent, limit in places if limit is not None and self._calls[agent, purpose] >= limit]

    def _is_quick(self, place: _Place) -> bool:
        return time.monotonic() - self._was_quick_at.get(place, -math.inf) < _QUICK_SECONDS
