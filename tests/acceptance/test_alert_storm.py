"""500 alerts of 20 issues, a relay that is killed, a Slack that fails: the short form of `make alert-storm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.alert_storm.storm import Outage, storm

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    ("kills", "outages"),
    [
        pytest.param(2, [], id="the relay is killed twice"),
        pytest.param(
            0,
            [Outage("rate_limited", 3), Outage("error", 2), Outage("hang", 2), Outage("refuse", 2)],
            id="Slack fails in every way",
        ),
    ],
)
def test_every_issue_is_told_with_its_count_and_once_a_window(
    tmp_path: Path, kills: int, outages: Sequence[Outage]
) -> None:
    found = storm(tmp_path, seconds=6, window_seconds=15, kills=kills, outages=outages)
    assert found.problems == []
