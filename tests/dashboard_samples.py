"""Made-up samples for drawing dashboards: one hour with every shape that a panel must be able to show."""

from __future__ import annotations

import math
from collections.abc import Iterator

#: 2026-03-01 12:00:00 UTC; the samples are those of the hour before.
END = 1_772_366_400
START = END - 3600
STEP = 15

_AGENTS = ("amazon", "mercadolivre", "shopee")
_EDGES = ("0.1", "0.5", "1.0", "5.0", "+Inf")


def samples(*, hostile: str = "") -> str:
    """Return OpenMetrics text; `hostile` becomes the value of a label of one series."""
    lines = [
        "# TYPE test_depth gauge",
        *(
            f'test_depth{{queue="{queue}"}} {depth} {at}'
            for queue in ("default", "slow")
            for at, depth in _depths(queue)
        ),
        "# TYPE test_pool gauge",
        *(f"test_pool {20 + 15 * math.sin(at / 600):.3f} {at}" for at in _times()),
        "# TYPE test_errors gauge",
        *(
            f'test_errors{{agent="{agent}"}} {12 + 20 * index} {at}'
            for index, agent in enumerate(_AGENTS)
            for at in _times()
        ),
        "# TYPE test_state gauge",
        *(
            f'test_state{{agent="{agent}"}} {_state(index, at)} {at}'
            for index, agent in enumerate(_AGENTS)
            for at in _times()
        ),
        "# TYPE test_latency gauge",
        *(f"test_latency {0.4 + 0.2 * math.cos(at / 300):.3f} {at}" for at in _times()),
        "# TYPE test_gappy gauge",
        *(f"test_gappy {_gappy(at)} {at}" for at in _times() if not 1200 < at - START < 2400),
        "# TYPE test_deploy gauge",
        *(f'test_deploy{{version="1.2"}} {int(at - START == 1500)} {at}' for at in _times()),
        "# TYPE ALERTS gauge",
        *(f"{_alert('QueueBackedUp', 'warning')} 1 {at}" for at in _times()),
        *(f"{_alert('RedisDown', 'critical')} 1 {at}" for at in _times()),
        "# TYPE test_finished counter",
        *(
            f'test_finished_total{{outcome="{name}"}} {rate * (at - START):.1f} {at}'
            for name, rate in _RATES
            for at in _times()
        ),
        "# TYPE test_seconds histogram",
        *(line for edge in range(len(_EDGES)) for line in _bucket(edge)),
    ]
    if hostile:
        lines += ["# TYPE test_hostile gauge", *(f'test_hostile{{name="{hostile}"}} 1 {at}' for at in _times())]
    return "\n".join(lines) + "\n"


_RATES = (("ok", 2.0), ("failed", 0.3), ("retried", 0.7))


def _times() -> range:
    return range(START, END + 1, STEP)


def _depths(queue: str) -> Iterator[tuple[int, int]]:
    for at in _times():
        wave = math.sin((at - START) / 500) if queue == "default" else math.cos((at - START) / 900)
        yield at, max(round(30 + 35 * wave), 0)


def _state(index: int, at: int) -> int:
    return (0, (at - START) // 600 % 3, 2 if 900 < at - START < 2000 else 0)[index]


def _gappy(at: int) -> str:
    second = at - START
    return "NaN" if second == 300 else "+Inf" if second == 600 else str(1_000_000 + second * 1000)


def _alert(name: str, severity: str) -> str:
    return f'ALERTS{{alertname="{name}",alertstate="firing",severity="{severity}"}}'


def _bucket(edge: int) -> Iterator[str]:
    for at in _times():
        count = (at - START) * (edge + 1) // 5 + edge * int(10 * math.sin(at / 700) ** 2)
        yield f'test_seconds_bucket{{le="{_EDGES[edge]}"}} {count} {at}'
