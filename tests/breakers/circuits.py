"""One circuit in memory and one in Redis, moved and asked in the same way; time passes when a test says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

from redis import Redis

from app.breakers.shared_circuits import Ask, SharedCircuits
from app.domain.breaker import BreakerRules, Circuit, Move, Step, apply_move
from app.job_queue.clients import fail_fast_client
from app.job_queue.gate import RedisGate
from app.live_metrics import LiveMetrics
from app.settings import RedisSettings

AGENT = "amazon"


class AnyCircuit(Protocol):
    """A circuit under test."""

    rules: BreakerRules
    circuit: Circuit
    now: float

    def move(self, move: Move) -> Step:
        """Move it."""

    def pass_time(self, seconds: float) -> None:
        """Let it be later."""


class CircuitInMemory:
    """The machine of the domain."""

    def __init__(self, rules: BreakerRules) -> None:
        self.rules = rules
        self.circuit = Circuit()
        self.now = 0.0

    def move(self, move: Move) -> Step:
        """Move it."""
        step = apply_move(self.circuit, move, self.rules, self.now)
        self.circuit = step.circuit
        return step

    def pass_time(self, seconds: float) -> None:
        """Let it be later."""
        self.now += seconds


class CircuitInRedis:
    """The machine of the script. Real time passes too, some milliseconds of it: tests leave a second beside each edge.

    `circuit` is the copy that the caller has; with `knows_nothing` it sends none along.
    """

    def __init__(self, rules: BreakerRules, client: Redis, shared: SharedCircuits, key: str) -> None:
        self.rules = rules
        self.circuit = Circuit()
        self.now = 0.0
        self.knows_nothing = False
        self._client = client
        self._shared = shared
        self._key = key

    def move(self, move: Move) -> Step:
        """Move it."""
        copy = Circuit() if self.knows_nothing else self.circuit
        (found,) = self._shared.move([Ask(AGENT, move, self.rules, copy)], self.now)
        self.circuit = found.step.circuit
        return found.step

    def pass_time(self, seconds: float) -> None:
        """Let it be later: whatever Redis holds is moved into the past."""
        self.now += seconds
        kept = self._client.hget(self._key, AGENT)
        if kept is None:
            return
        assert isinstance(kept, bytes)
        found, by = json.loads(kept), round(seconds * 1000)
        for name in ("ends_at", "opened_at"):
            if name in found:
                found[name] -= by
        found["probes"] = {probe: ends - by for probe, ends in found["probes"].items()}
        self._client.hset(self._key, AGENT, json.dumps(found))

    def forget(self) -> None:
        """Let Redis lose everything."""
        self._client.delete(self._key)


def circuit_in_redis(rules: BreakerRules, redis_url: str) -> CircuitInRedis:
    """Return a circuit of its own in this server."""
    settings = RedisSettings(url=redis_url, namespace=f"test:{uuid4().hex}", fail_fast_timeout_seconds=1.0)
    client = fail_fast_client(settings, LiveMetrics())
    shared = SharedCircuits(client, settings.namespace, RedisGate(limit_seconds=1.0, pause_seconds=1.5))
    return CircuitInRedis(rules, client, shared, f"{settings.namespace}:breakers")


def comparable(circuit: Circuit, now: float) -> Circuit:
    """Return the circuit with times from now on, to the second."""

    def left(at: float | None) -> float | None:
        return None if at is None else float(round(at - now))

    probes = {probe: float(round(ends - now)) for probe, ends in circuit.probes.items()}
    return replace(circuit, ends_at=left(circuit.ends_at), opened_at=left(circuit.opened_at), probes=probes)
