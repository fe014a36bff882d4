"""The short form of `make crash-points`: every failpoint once, over both databases."""

from __future__ import annotations

import pytest

from app.failpoints import Failpoint
from tests.crash_points.crash_rows import crash_rows
from tests.crash_points.crash_runs import measure_rows
from tests.faults.scenario import POSTGRESQL, SQLITE

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

# In turns of the process that dies, so that each has had its time when it dies again.
_ROWS = {
    SQLITE: (
        "web-before-commit",
        "worker-before-claim",
        "sweeper-after-marking",
        "web-after-commit",
        "worker-inside-completion",
    ),
    POSTGRESQL: (
        "web-after-hint",
        "worker-after-claim",
        "sweeper-after-sending",
        "worker-mid-run",
        "worker-after-completion",
        "worker-after-failure",
    ),
}


@pytest.mark.parametrize("database", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)])
def test_a_crash_at_any_point_loses_and_repeats_nothing(database: str) -> None:
    rows = {row.name: row for row in crash_rows()}
    for measured in measure_rows(database, [rows[name] for name in _ROWS[database]], settled=False):
        # How fast this machine is at the moment is no part of the test.
        assert measured.verdict.is_good, measured.missed
        assert measured.verdict.completed == measured.jobs
        assert measured.wrong == []


def test_every_failpoint_has_its_row_and_runs_with_the_tests() -> None:
    points = {row.name: row.point for row in crash_rows() if row.point}
    assert set(points.values()) == set(Failpoint)
    assert {points[name] for names in _ROWS.values() for name in names} == set(Failpoint)
