"""Bulkhead: an agent that hangs takes up its share of a process's threads, and no more.

docs/decisions/bulkhead.md
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from app.agents.configuration import AgentConfig
from app.agents.question import Purpose
from app.domain.jobs import JobKind
from app.metrics import AGENT_IN_FLIGHT, AGENT_REFUSED, LiveMetrics


class Permit:
    """Leave to call one agent once; as a context it is given back at the end, once, however often it is entered."""

    def __init__(self, bulkhead: Bulkhead, agent: str, purpose: Purpose) -> None:
        self._bulkhead = bulkhead
        self._place = (agent, purpose)
        self._given_back = False

    def give_back(self) -> None:
        """Let somebody else call the agent; by the thread that calls it."""
        if not self._given_back:
            self._given_back = True
            self._bulkhead.give_back(*self._place)

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
        self._limits: dict[tuple[str, str], int] = {
            (agent.name, kind): agent.max_concurrent_calls or max(1, int(count * share))
            for agent in agents
            for kind, count in (threads or {}).items()
        }
        self._calls: dict[tuple[str, str], int] = {}
        self._metrics = metrics
        self._guard = threading.Lock()

    def take(self, agent: str, purpose: Purpose) -> Permit | None:
        """Return a permit, or None when the agent has as many calls as it may; waits for nobody."""
        with self._guard:
            calls = self._calls.get((agent, purpose), 0)
            limit = self._limits.get((agent, purpose))
            allowed = limit is None or calls < limit
            if allowed:
                self._calls[agent, purpose] = calls + 1
        if not allowed:
            self._metrics.count(AGENT_REFUSED, agent=agent, kind=purpose)
            return None
        self._metrics.add(AGENT_IN_FLIGHT, 1, agent=agent, kind=purpose)
        return Permit(self, agent, purpose)

    def give_back(self, agent: str, purpose: Purpose) -> None:
        """Note the end of a call."""
        with self._guard:
            self._calls[agent, purpose] -= 1
        self._metrics.add(AGENT_IN_FLIGHT, -1, agent=agent, kind=purpose)
