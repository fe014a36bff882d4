"""How a fake agent behaves: its modes, their settings, and what each one makes of the n-th request."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType

from loadtest.control import ControlError, known_fields, number, whole_number

AGENTS = ("amazon", "mercadolivre", "shopee", "shein", "tiktok-shop", "kaway")

#: What an agent can be told to do; all but `healthy` and `slow` are failures.
MODES = ("healthy", "slow", "flaky", "rate_limited", "error", "malformed", "huge", "hang", "drip", "dead")

#: Kinds of one mode; without a choice `malformed` takes one after the other, the others their first.
VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "malformed": (
            "prose",
            "missing_phase_numbers",
            "numbers_as_text",
            "portuguese_priorities",
            "empty_lists",
            "truncated",
            "wrong_schema",
            "no_json",
        ),
        "huge": ("plain", "gzip"),
        "drip": ("body", "headers"),
        "hang": ("silent", "half_closed"),
    }
)

_LATENCY_MS = {"slow": 3000.0}
_FAILURE_RATE = {"flaky": 0.5}

#: Spread of latencies: the standard deviation of their logarithm.
_SPREAD = 0.25


@dataclass(frozen=True)
class Draw:
    """What happens to one request: `mode` is the one that takes effect, `random` decides the rest."""

    mode: str
    variant: str
    latency_seconds: float
    random: Random


@dataclass(frozen=True)
class Behaviour:
    """How an agent behaves until it is told otherwise.

    `latency_ms` is the median time before the answer. Each request fails in the way of `mode` with the probability
    `failure_rate`; with `fail_first` the next so many requests do, and those after them are answered.
    """

    mode: str = "healthy"
    latency_ms: float = 20.0
    failure_rate: float = 1.0
    seed: int = 1
    fail_first: int | None = None
    variant: str | None = None
    retry_after_seconds: int = 1

    def draw(self, agent: str, position: int) -> Draw:
        """Return what happens to the request number `position` (>= 1) since this behaviour began: always the same."""
        random = Random(f"{self.seed}:{agent}:{position}")
        latency = self.latency_ms / 1000 * min(random.lognormvariate(0, _SPREAD), 3.0)
        by_chance = random.random() < self.failure_rate
        fails = by_chance if self.fail_first is None else position <= self.fail_first
        mode = self.mode if fails else "healthy"
        if mode == "flaky":
            mode = random.choice(("error", "error", "dead"))
        variants = VARIANTS.get(mode, ("",))
        turn = (position - 1) % len(variants) if mode == "malformed" else 0
        return Draw(mode, self.variant or variants[turn], latency, random)

    def as_json(self) -> dict[str, object]:
        """Return the behaviour as it is written for the live control."""
        return {
            "mode": self.mode,
            "latencyMs": self.latency_ms,
            "failureRate": self.failure_rate,
            "seed": self.seed,
            "failFirst": self.fail_first,
            "variant": self.variant,
            "retryAfterSeconds": self.retry_after_seconds,
        }


class FakeAgent:
    """One agent: its behaviour now, and what it was asked so far."""

    def __init__(self, name: str, behaviour: Behaviour) -> None:
        self.name = name
        self._behaviour = behaviour
        self._guard = threading.Lock()
        #: Requests since the behaviour began; the draws go by it.
        self._position = 0
        self._purposes: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._last: dict[str, object] = {"lastAt": None, "lastHeaders": {}}

    @property
    def behaviour(self) -> Behaviour:
        """How the agent behaves now; setting it begins the draws anew."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._guard:
            self._behaviour, self._position = behaviour, 0

    def meet(self, purpose: str, headers: Mapping[str, str]) -> Draw:
        """Count a request and return what happens to it."""
        with self._guard:
            self._position += 1
            draw = self._behaviour.draw(self.name, self._position)
            self._purposes[purpose] += 1
            self._modes[draw.mode] += 1
            self._last = {"lastAt": datetime.now(UTC).isoformat(), "lastHeaders": headers}
            return draw

    def requests(self) -> dict[str, object]:
        """Return what `GET /requests/{agent}` answers."""
        with self._guard:
            return {
                "agent": self.name,
                "count": self._purposes.total(),
                "byPurpose": dict(self._purposes),
                "byMode": dict(self._modes),
                **self._last,
            }


def read_behaviour(data: object, *, seed: int) -> Behaviour:
    """Return the behaviour that the live control was sent; `seed` is for one that names none.

    Raises:
        ControlError: A field is unknown or has no value that it can have.
    """
    data = known_fields(data, Behaviour().as_json())
    mode = data.get("mode")
    if mode not in MODES:
        raise ControlError("mode", f"must be one of {', '.join(MODES)}")
    variant = data.get("variant")
    if variant is not None and variant not in VARIANTS.get(mode, ()):
        raise ControlError("variant", f"must be one of {', '.join(VARIANTS.get(mode, ())) or 'none'} for {mode}")
    fail_first = data.get("failFirst")
    return Behaviour(
        mode=mode,
        latency_ms=number(data, "latencyMs", _LATENCY_MS.get(mode, Behaviour.latency_ms), highest=600_000),
        failure_rate=number(data, "failureRate", _FAILURE_RATE.get(mode, Behaviour.failure_rate), highest=1),
        seed=whole_number(data, "seed", seed),
        fail_first=None if fail_first is None else whole_number(data, "failFirst", 0),
        variant=variant,
        retry_after_seconds=whole_number(data, "retryAfterSeconds", Behaviour.retry_after_seconds),
    )


def demo_behaviours(seed: int) -> dict[str, Behaviour]:
    """Return six agents with a character each, as the demo shows them."""
    return {
        agent: read_behaviour(data, seed=seed)
        for agent, data in {
            "amazon": {"mode": "healthy", "latencyMs": 120},
            "mercadolivre": {"mode": "slow", "latencyMs": 1500},
            "shopee": {"mode": "flaky", "failureRate": 0.4, "latencyMs": 80},
            "shein": {"mode": "rate_limited", "failureRate": 0.6, "latencyMs": 60},
            "tiktok-shop": {"mode": "malformed", "latencyMs": 150},
            "kaway": {"mode": "dead"},
        }.items()
    }
