from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.scenario import POSTGRESQL, SQLITE, play
from tests.faults.scenarios import SCENARIOS

# The short form of `make faults`.
pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

_JOBS = 80


@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("kill-worker", SQLITE),
        pytest.param("restart-postgresql", POSTGRESQL, marks=pytest.mark.postgres),
        ("restart-valkey", SQLITE),
        pytest.param("deliver-twice", POSTGRESQL, marks=pytest.mark.postgres),
    ],
)
def test_nothing_is_lost_doubled_or_stuck(name: str, database: str, tmp_path: Path) -> None:
    outcome = play(SCENARIOS[name], database, tmp_path, jobs=_JOBS, rate=20)
    assert outcome.missed == []
    assert outcome.verdict.completed == _JOBS
