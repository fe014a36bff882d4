from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.agent_timeouts import TimeoutMode, TimeoutPolicy, choose_timeout
from app.domain.learned_timeout import LearnedTimeout
from app.domain.timeout_rule import TimeoutRule

RULE = TimeoutRule().timeout(opportunities=100, transitions=1, at=datetime(2026, 11, 27, 3, tzinfo=UTC))
LEARNED = LearnedTimeout(samples=600, slope=0.0, t1_log=2.0, t2_log=3.0, least_seconds=10.0, most_seconds=120.0)
SECONDS = LEARNED.seconds(0)


@pytest.mark.parametrize(
    ("mode", "learned", "probe", "policy", "seconds"),
    [
        pytest.param("rule", LEARNED, False, "rule", 40.0, id="rule"),
        pytest.param("shadow", LEARNED, False, "rule", 40.0, id="shadow"),
        pytest.param("shadow", LEARNED, True, "rule", 40.0, id="no-probes-in-shadow"),
        pytest.param("learned", LEARNED, False, "learned", SECONDS, id="learned"),
        pytest.param("learned", LEARNED, True, "probe", 120.0, id="probe"),
        pytest.param("learned", None, False, "rule", 40.0, id="cold"),
        pytest.param("learned", None, True, "rule", 40.0, id="no-probes-while-cold"),
    ],
)
def test_the_mode_decides(
    mode: str, learned: LearnedTimeout | None, policy: str, seconds: float, *, probe: bool
) -> None:
    chosen = choose_timeout(
        "amazon", TimeoutMode(mode), rule=RULE, learned=learned, size=0, probe=probe, configured_seconds=None
    )
    assert (chosen.policy, chosen.seconds) == (TimeoutPolicy(policy), seconds)


@pytest.mark.parametrize("probe", [False, True])
def test_nothing_exceeds_the_agents_own_timeout(*, probe: bool) -> None:
    chosen = choose_timeout(
        "amazon", TimeoutMode.LEARNED, rule=RULE, learned=LEARNED, size=0, probe=probe, configured_seconds=5.0
    )
    assert chosen.seconds == 5.0


def test_the_report_tells_both_values_and_every_addend() -> None:
    chosen = choose_timeout(
        "amazon", TimeoutMode.SHADOW, rule=RULE, learned=LEARNED, size=0, probe=False, configured_seconds=60.0
    )
    assert chosen.report() == {
        "agent": "amazon",
        "seconds": 40.0,
        "policy": "rule",
        "rule": {
            "base": 30.0,
            "opportunities": 5.0,
            "transitions": 5.0,
            "peak": 0.0,
            "total": 40.0,
            "seconds": 40.0,
        },
        "learnedSeconds": round(SECONDS, 3),
        "configuredSeconds": 60.0,
    }
