"""docs/decisions/alert-thresholds.md gives the reason for every number and every wait that the rules have."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path

from app.domain import objectives
from app.domain.alerts import ALERTS
from app.rule_files import duration
from tests.alert_cases import RULES

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "decisions" / "alert-thresholds.md"


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    text = _PAGE.read_text(encoding="utf-8")
    part = text[text.index(heading) :].split("\n#", maxsplit=1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_every_number_is_the_one_in_force_and_none_is_missing() -> None:
    told = {name.strip("`"): float(value) for name, value, *_ in _rows("### Numbers")}
    assert told == {name: float(attrgetter(name)(objectives)) for name in told}
    numbers = {name for name, value in vars(objectives).items() if isinstance(value, int | float)}
    assert numbers | {f"{promise}.target" for promise in ("JOB_SUCCESS", "JOB_LATENCY", "AVAILABILITY")} == set(told)


def test_every_wait_is_the_one_in_force_and_has_a_reason() -> None:
    rows = _rows("### Waits")
    assert [row[0].strip("`") for row in rows] == [alert.name for alert in ALERTS]
    for name, wait, keeps, reason in rows:
        rule = RULES[name.strip("`")][0]
        assert [wait, keeps] == [duration(rule.for_seconds), duration(rule.keep_firing_seconds)], name
        assert re.search(r"\w{3}", reason), name
