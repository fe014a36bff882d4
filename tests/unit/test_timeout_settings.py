from __future__ import annotations

import pytest

from app.agent_timeouts import learning_of, rule_of
from app.domain.agent_timeouts import TimeoutMode
from app.domain.errors import ConfigurationError
from app.domain.learned_timeout import Learning
from app.domain.timeout_rule import TimeoutRule
from app.settings import TimeoutSettings, load_settings


def test_without_settings_the_numbers_are_those_of_the_rule_and_of_the_estimator() -> None:
    assert rule_of(TimeoutSettings()) == TimeoutRule()
    assert learning_of(TimeoutSettings()) == Learning()


def test_every_number_can_be_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {
        "BASE_SECONDS": 20,
        "PER_HUNDRED_OPPORTUNITIES_SECONDS": 7,
        "PER_TRANSITION_SECONDS": 3,
        "PEAK_SECONDS": 4,
        "PEAK_FROM_HOUR": 22,
        "PEAK_TO_HOUR": 6,
        "LEAST_SECONDS": 5,
        "MOST_SECONDS": 60,
        "LEAST_SAMPLES": 30,
        "DEVIATIONS": 3,
        "CUT_SHARE": 0.02,
        "HALF_LIFE_CALLS": 100,
    }
    for name, value in numbers.items():
        monkeypatch.setenv(f"MARKETPLACE_TIMEOUTS__{name}", str(value))
    monkeypatch.setenv("MARKETPLACE_TIMEOUTS__TIME_ZONE", "America/Sao_Paulo")
    monkeypatch.setenv("MARKETPLACE_TIMEOUTS__MODE", "shadow")
    settings = load_settings().timeouts
    assert settings.mode is TimeoutMode.SHADOW
    assert rule_of(settings) == TimeoutRule(20.0, 7.0, 3.0, 4.0, 22, 6, "America/Sao_Paulo", 5.0, 60.0)
    assert learning_of(settings) == Learning(
        least_samples=30, deviations=3.0, cut_share=0.02, half_life=100.0, least_seconds=5.0, most_seconds=60.0
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MODE", "guess", "MARKETPLACE_TIMEOUTS__MODE"),
        ("TIME_ZONE", "Mars/Olympus", "MARKETPLACE_TIMEOUTS__TIME_ZONE"),
        ("TIME_ZONE", "../../etc/passwd", "MARKETPLACE_TIMEOUTS__TIME_ZONE"),
        ("PEAK_FROM_HOUR", "24", "MARKETPLACE_TIMEOUTS__PEAK_FROM_HOUR"),
        ("LEAST_SECONDS", "121", "MARKETPLACE_TIMEOUTS"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MARKETPLACE_TIMEOUTS__{name}", value)
    with pytest.raises(ConfigurationError, match=problem):
        load_settings()
