from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def test_a_short_benchmark_measures_both_sides_and_judges_them(tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench", "--jobs", "20", "--rounds", "1"),
            *("--database", "SQLite"),
            *("--processes", "1", "--approvals", "20", "--rate", "20", "--idle", "2", "--stuck", "2"),
            *("--queued", "300", "--finished", "10", "--finished", "300", "--scrapes", "5"),
            *("--report-dir", str(tmp_path)),
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    # How fast this machine is at the moment is no part of the test.
    assert ended.returncode in {0, 6}, ended.stderr
    report = json.loads(next(tmp_path.glob("bench-*.json")).read_text(encoding="utf-8"))
    drained = report["drain"][0]
    assert drained["ours"][0] > 0
    assert drained["bare"][0] > 0
    assert report["latency"]["SQLite"]["completion_p99"] > 0
    assert report["idle"]["SQLite"]["start_max"] > 0
    assert report["stuck"]["SQLite"]["no_job"]["most"] >= 0
    assert report["shares"]["SQLite"]["ours"]["statements"] > 0
    assert report["backlog"]["SQLite"]["hints_per_second"] > 0
    assert report["scrape"]["16 processes"]["p50"] > 0
    assert set(report["sweeper"]["SQLite"]) == {"10", "300"}
    assert (ended.returncode == 6) == bool(report["missed"])
