"""What docs/howto/scale-out.md reckons with is what docs/reference/sizing.md says was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_SIZING = (_DOCS / "reference" / "sizing.md").read_text(encoding="utf-8")
_SCALE_OUT = (_DOCS / "howto" / "scale-out.md").read_text(encoding="utf-8")


def row(first: str) -> list[str]:
    """Return the cells of the measured row that begins with these words."""
    [line] = re.findall(rf"^\| {re.escape(first)}.*\|$", _SIZING, re.MULTILINE)
    return [cell.strip().strip("*") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("part", "column"), [("web", 1), ("workers", 2), ("schedulers, without webhooks", 4), ("PostgreSQL", 7)]
)
def test_cpu_time_per_job_is_as_measured(part: str, column: int) -> None:
    measured = row("imported, approved, 10 plans/s")[column]
    assert re.search(rf"^\| CPU of {part}[^|]*\| {re.escape(measured)} \|", _SCALE_OUT, re.MULTILINE), measured


def test_the_log_and_redis_commands_per_job_are_as_measured() -> None:
    _, _transactions, writes, log, commands, aof = row("imported, approved, per plan")
    assert f"| Log of PostgreSQL, bytes | {log} |" in _SCALE_OUT
    assert f"| Log of PostgreSQL, writes, each waits for the disk | {writes} |" in _SCALE_OUT
    assert f"| Redis commands | {commands} |" in _SCALE_OUT
    assert aof in _SCALE_OUT


def test_bytes_per_job_and_per_hint_are_as_measured() -> None:
    *_, all_bytes = row("imported, approved | **all**")
    assert f"jobs x {all_bytes} bytes" in _SCALE_OUT
    assert f"A hint takes {row('100,000 | the API')[-1]}." in _SCALE_OUT


@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_disk_a_day_is_the_product_of_both(rate: int) -> None:
    *_, all_bytes = row("imported, approved | **all**")
    jobs = rate * 86_400
    gigabytes = jobs * int(all_bytes.replace(",", "")) / 1e9
    assert f"| {rate:,}/s | {jobs:,} | {gigabytes:.{1 if rate == 10 else 0}f} GB |" in _SCALE_OUT
