"""The circuits of all agents, as one process knows and moves them: in Redis, or alone while it is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from app.breakers.shared_circuits import Ask, SharedCircuits, SharedStep, decode_news, read_news
from app.domain.breaker import BreakerRules, Circuit, Move, MoveKind, Step, apply_move
from app.domain.errors import RedisUnavailableError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS

_log = structlog.stdlib.get_logger(__name__)

#: Copies are compared with Redis this often, whatever the news said.
ROUND_SECONDS = 1.0

#: Redis is looked for again after this pause.
_PAUSE_SECONDS = 0.25

#: A process that has just lost Redis lets no probes through by itself for so long: Redis may only have been slow, and
#: the other processes still count on it.
_ALONE_SECONDS = 2.0


class Circuits:
    """Copies of every circuit, kept up to date by a thread; safe to use from many threads.

    Redis holds the circuits. While it is away, moves are made in the copies; back again, of two copies the one that has
    seen more holds.
    """

    def __init__(
        self,
        rules: Mapping[str, BreakerRules],
        metrics: LiveMetrics,
        shared: SharedCircuits | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = dict(rules)
        self.clock = clock
        self._metrics = metrics
        self._shared = shared
        self._copies = dict.fromkeys(self.rules, Circuit())
        self._guard = threading.Lock()
        #: Probes that Redis may have let through without our hearing of it: their places are given back.
        self._doubtful: dict[str, str] = {}
        #: Whether moves go to Redis; the thread that follows it finds that out, so that no call has to.
        self._in_touch = False
        self._lost_at: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow_for_ever, name="breakers", daemon=True)

    def start(self) -> None:
        """Begin to follow Redis; until then, and without it, this process is alone."""
        if self._shared is not None and self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        if self._shared is not None:
            # Which also ends the wait for news.
            self._shared.close()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def in_touch(self) -> bool:
        """Whether the circuits are shared with the other processes now."""
        return self._in_touch

    @property
    def just_lost_touch(self) -> bool:
        """Whether the other processes may still share theirs, although this one does not."""
        return not self._in_touch and self._lost_at is not None and self.clock() - self._lost_at < _ALONE_SECONDS

    def copy(self, agent: str) -> Circuit:
        """Return what this process knows of one agent's circuit."""
        return self._copies[agent]

    def move(self, agent: str, move: Move) -> SharedStep:
        """Do a move, in Redis or alone. A call whose question to Redis gets no answer is not admitted."""
        if self._in_touch:
            try:
                return self.move_shared(agent, move)
            except RedisUnavailableError as error:
                self._lose_touch(str(error))
                if move.kind is MoveKind.ADMIT:
                    self._doubtful[move.probe] = agent
                    circuit = self._copies[agent]
                    return SharedStep(circuit, Step(circuit))
        with self._guard:
            before = self._copies[agent]
            step = apply_move(before, move, self.rules[agent], self.clock())
            self._copies[agent] = step.circuit
        return SharedStep(before, step)

    def move_shared(self, agent: str, move: Move) -> SharedStep:
        """Do a move in Redis.

        Raises:
            RedisUnavailableError: It was not done, or it is unknown.
        """
        if self._shared is None:
            raise RedisUnavailableError("this process does not share its circuits")
        before = self._copies[agent]
        (found,) = self._shared.move([Ask(agent, move, self.rules[agent], before)], self.clock())
        self._adopt(agent, found.step.circuit)
        return found

    def _adopt(self, agent: str, circuit: Circuit) -> None:
        """Take over what Redis says, unless this process has heard newer things."""
        if agent not in self._copies:
            return
        with self._guard:
            if not self._copies[agent].is_newer_than(circuit):
                self._copies[agent] = circuit

    def _lose_touch(self, reason: str) -> None:
        if self._in_touch:
            self._lost_at = self.clock()
            self._in_touch = False
            _log.warning("breakers_alone", reason=reason)

    def _follow_for_ever(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except RedisUnavailableError as error:
                self._lose_touch(str(error))
            except Exception:  # noqa: BLE001 -- the edge of the thread: it must go on
                if self._stopped.is_set():
                    # Its connection was closed under it.
                    break
                self._lose_touch("unexpected")
                self._metrics.count(ERRORS, place="breakers")
                _log.exception("breakers_raised")
            self._stopped.wait(_PAUSE_SECONDS)
        self._in_touch = False

    def _follow(self) -> None:
        if self._shared is None:
            return
        subscription = self._shared.subscribe()
        try:
            round_at = 0.0
            while not self._stopped.is_set():
                now = self.clock()
                if now >= round_at:
                    self._compare(self._shared)
                    round_at = now + ROUND_SECONDS
                    if not self._in_touch:
                        self._in_touch = True
                        _log.info("breakers_in_touch")
                news = read_news(subscription, max(0.0, round_at - self.clock()))
                if news is not None:
                    self._adopt(*decode_news(news, self.clock()))
        finally:
            subscription.close()

    def _compare(self, shared: SharedCircuits) -> None:
        """Tell Redis what it does not know, and take over what this process does not."""
        if not self._copies:
            return
        doubtful = dict(self._doubtful)
        look = Move(MoveKind.LOOK)
        asks = [Ask(agent, look, self.rules[agent], circuit) for agent, circuit in self._copies.items()]
        asks += [
            Ask(agent, Move(MoveKind.RELEASE, probe=probe), self.rules[agent], self._copies[agent])
            for probe, agent in doubtful.items()
        ]
        for ask, found in zip(asks, shared.move(asks, self.clock()), strict=True):
            self._adopt(ask.agent, found.step.circuit)
        for probe in doubtful:
            del self._doubtful[probe]
