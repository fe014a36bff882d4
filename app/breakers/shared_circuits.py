"""The circuits in Redis: moves by one atomic script, and news of every change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from redis import Redis, RedisError
from redis.client import PubSub

from app.domain.breaker import (
    LONGEST_PAUSE_SECONDS,
    BreakerRules,
    Circuit,
    CircuitState,
    Move,
    Step,
    TurnCause,
)
from app.domain.errors import RedisUnavailableError
from app.job_queue.gate import RedisGate

_SCRIPT = files("app.breakers").joinpath("circuit.lua").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Ask:
    """A move of one agent's circuit, and the copy that the caller has of it: Redis may have forgotten."""

    agent: str
    move: Move
    rules: BreakerRules
    copy: Circuit


@dataclass(frozen=True)
class SharedStep:
    """What a move led to, and the circuit before it."""

    before: Circuit
    step: Step


class SharedCircuits:
    """Asks Redis; safe to use from many threads. Times are this process's, on the clock that `now` was read from.

    Client and gate are for this alone: a fail-fast client, for agents must not wait for Redis.

    Raises:
        RedisUnavailableError: From every method, when Redis did not do it, or did not tell.
    """

    def __init__(self, client: Redis, namespace: str, gate: RedisGate) -> None:
        self._client = client
        self._gate = gate
        self._key = f"{namespace}:breakers"
        self._channel = f"{namespace}:breaker-news"
        self._script = client.register_script(_SCRIPT)

    def move(self, asks: Sequence[Ask], now: float) -> list[SharedStep]:
        """Do these moves at once, in one round trip; return what each led to."""
        arguments = [self._channel, json.dumps([_encode(ask, now) for ask in asks])]
        answer = self._gate.call(lambda: self._script(keys=[self._key], args=arguments))
        return [_decode_step(found, now) for found in json.loads(answer)]

    def subscribe(self) -> PubSub:
        """Return a subscription to the changes; `read_news` reads its messages."""
        try:
            subscription = self._client.pubsub(ignore_subscribe_messages=True)
            subscription.subscribe(self._channel)
        except RedisError as error:
            raise RedisUnavailableError(f"Redis: {type(error).__name__}") from error
        return cast("PubSub", subscription)

    def close(self) -> None:
        """Close every connection."""
        self._gate.close()
        self._client.connection_pool.disconnect()


def read_news(subscription: PubSub, wait_seconds: float) -> bytes | None:
    """Return the next change, which `decode_news` reads, or None when none comes within `wait_seconds`.

    Raises:
        RedisUnavailableError: The subscription is lost.
    """
    try:
        message: Any = subscription.get_message(timeout=wait_seconds)
    except (RedisError, OSError, ValueError) as error:
        raise RedisUnavailableError(f"Redis: {type(error).__name__}") from error
    return None if message is None else message["data"]


def decode_news(data: bytes, now: float) -> tuple[str, Circuit]:
    """Return whose circuit changed, and what it is now."""
    found = json.loads(data)
    return str(found["agent"]), _decode(found["circuit"], now)


def _encode(ask: Ask, now: float) -> Mapping[str, object]:
    move, rules = ask.move, ask.rules
    return {
        "agent": ask.agent,
        "kind": move.kind,
        "generation": move.generation,
        "probe": move.probe,
        "ms": _ms(move.seconds),
        "reason": move.reason,
        "error_code": move.error_code,
        "error": move.error,
        "longest_pause": _ms(LONGEST_PAUSE_SECONDS),
        "rules": {
            "failure_threshold": rules.failure_threshold,
            "open_ms": _ms(rules.open_seconds),
            "success_threshold": rules.success_threshold,
            "half_open_probes": rules.half_open_probes,
        },
        "copy": _encode_circuit(ask.copy, now),
    }


def _encode_circuit(circuit: Circuit, now: float) -> Mapping[str, object]:
    encoded: dict[str, object] = {
        "state": circuit.state,
        "generation": circuit.generation,
        "version": circuit.version,
        "failures": circuit.failures,
        "successes": circuit.successes,
        "probes": {probe: _ms(ends - now) for probe, ends in circuit.probes.items()},
        "held": circuit.held,
        "reason": circuit.reason,
        "error_code": circuit.error_code,
        "error": circuit.error,
    }
    if circuit.ends_at is not None and circuit.span is not None:
        encoded |= {"ends_at": _ms(circuit.ends_at - now), "span": _ms(circuit.span)}
    if circuit.opened_at is not None:
        encoded["opened_at"] = _ms(circuit.opened_at - now)
    return encoded


def _decode_step(found: Mapping[str, Any], now: float) -> SharedStep:
    cause = found.get("cause")
    return SharedStep(
        before=_decode(found["before"], now),
        step=Step(
            _decode(found["circuit"], now),
            admitted=bool(found["admitted"]),
            cause=None if cause is None else TurnCause(cause),
        ),
    )


def _decode(found: Mapping[str, Any], now: float) -> Circuit:
    def time_of(name: str) -> float | None:
        return now + found[name] / 1000 if name in found else None

    return Circuit(
        state=CircuitState(found["state"]),
        generation=int(found["generation"]),
        version=int(found["version"]),
        failures=int(found["failures"]),
        successes=int(found["successes"]),
        probes={probe: now + left / 1000 for probe, left in found["probes"].items()},
        ends_at=time_of("ends_at"),
        span=found["span"] / 1000 if "span" in found else None,
        held=bool(found["held"]),
        reason=str(found["reason"]),
        opened_at=time_of("opened_at"),
        error_code=str(found["error_code"]),
        error=str(found["error"]),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
