"""The timeouts of agents: what is learned is kept in the process, and learned anew in the background of a call."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import get_args

import structlog
from sqlalchemy import Connection

from app.agents.question import Purpose, Question
from app.domain.agent_timeouts import AgentTimeout, TimeoutMode, TimeoutPolicy, choose_timeout
from app.domain.errors import MarketplaceError
from app.domain.learned_timeout import LearnedTimeout, Learning, learn_timeout
from app.domain.timeout_rule import TimeoutRule
from app.live_metrics import LiveMetrics
from app.metrics import AGENT_TIMEOUT, ERRORS
from app.settings import TimeoutSettings
from app.storage.agent_calls import read_samples
from app.storage.database import Database

_log = structlog.stdlib.get_logger(__name__)

#: Tells how often each agent's breaker has changed its state in the last so many seconds; agents may be left out.
Transitions = Callable[[Connection, float], Mapping[str, int]]

_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def no_transitions(_connection: Connection, _seconds: float) -> Mapping[str, int]:
    """Tell of no transition."""
    return {}


def rule_of(settings: TimeoutSettings) -> TimeoutRule:
    """Return the rule with the numbers of the settings."""
    return TimeoutRule(
        base_seconds=settings.base_seconds,
        per_hundred_opportunities_seconds=settings.per_hundred_opportunities_seconds,
        per_transition_seconds=settings.per_transition_seconds,
        peak_seconds=settings.peak_seconds,
        peak_from_hour=settings.peak_from_hour,
        peak_to_hour=settings.peak_to_hour,
        time_zone=settings.time_zone,
        least_seconds=settings.least_seconds,
        most_seconds=settings.most_seconds,
    )


def learning_of(settings: TimeoutSettings) -> Learning:
    """Return how the settings want timeouts to be learned."""
    return Learning(
        least_samples=settings.least_samples,
        deviations=settings.deviations,
        cut_share=settings.cut_share,
        half_life=settings.half_life_calls,
        least_seconds=settings.least_seconds,
        most_seconds=settings.most_seconds,
    )


class AgentTimeouts:
    """Tells how long each call may take; safe to use from many threads.

    `configured` holds the agents' own timeouts, None for those without; `chance` decides which calls are probes.
    """

    def __init__(
        self,
        database: Database,
        settings: TimeoutSettings,
        metrics: LiveMetrics,
        configured: Mapping[str, float | None],
        *,
        transitions: Transitions = no_transitions,
        chance: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        self._configured = configured
        self._transitions = transitions
        self._chance = chance or random.SystemRandom()
        self._now = now
        self._monotonic = monotonic
        self._rule = rule_of(settings)
        self._learning = learning_of(settings)
        self._counted: Mapping[str, int] = {}
        self._learned: Mapping[tuple[str, Purpose], LearnedTimeout] = {}
        self._guard = threading.Lock()
        self._due_at: float | None = None

    def timeout(self, agent: str, question: Question) -> AgentTimeout:
        """Return how long this call may take, and why. Reads nothing but for the first call of a process."""
        self._refresh_when_due()
        chosen = choose_timeout(
            agent,
            self._settings.mode,
            rule=self._rule.timeout(
                opportunities=question.opportunities, transitions=self._counted.get(agent, 0), at=self._now()
            ),
            learned=self._learned.get((agent, question.purpose)),
            size=question.size,
            probe=self._chance.random() < self._settings.probe_share,
            configured_seconds=self._configured.get(agent),
        )
        self._metrics.observe(AGENT_TIMEOUT, chosen.rule.seconds, agent=agent, policy=TimeoutPolicy.RULE)
        if chosen.learned_seconds is not None:
            self._metrics.observe(AGENT_TIMEOUT, chosen.learned_seconds, agent=agent, policy=TimeoutPolicy.LEARNED)
        self._metrics.observe(AGENT_TIMEOUT, chosen.seconds, agent=agent, policy="used")
        return chosen

    def refresh(self) -> None:
        """Learn anew, from what stands in the database.

        Raises:
            DatabaseUnavailableError: What was learned before still holds.
        """
        settings = self._settings
        learned: dict[tuple[str, Purpose], LearnedTimeout] = {}
        with self._database.read() as connection:
            counted = self._transitions(connection, settings.transitions_window_seconds)
        if settings.mode is not TimeoutMode.RULE:
            for agent in self._configured:
                for purpose in _PURPOSES:
                    with self._database.read() as connection:
                        samples = read_samples(
                            connection,
                            agent,
                            purpose,
                            newest=settings.newest_calls,
                            watched=settings.watched_calls,
                            whole_seconds=self._learning.whole_seconds,
                        )
                    bound = learn_timeout(samples, self._learning)
                    if bound is not None:
                        learned[agent, purpose] = bound
        self._counted, self._learned = counted, learned

    def _refresh_when_due(self) -> None:
        with self._guard:
            first = self._due_at is None
            if self._due_at is not None and self._monotonic() < self._due_at:
                return
            self._due_at = self._monotonic() + self._settings.refresh_seconds
        if first:
            self._try_to_refresh()
        else:
            threading.Thread(target=self._try_to_refresh, name="agent-timeouts", daemon=True).start()

    def _try_to_refresh(self) -> None:
        try:
            self.refresh()
        except MarketplaceError as error:
            _log.warning("timeouts_not_learned", error_code=error.code, reason=str(error))
        except Exception:  # noqa: BLE001 -- the edge of the thread, and no reason for a job to fail
            self._metrics.count(ERRORS, place="timeouts")
            _log.exception("timeouts_failed")
