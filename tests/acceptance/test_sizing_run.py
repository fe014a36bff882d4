from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import postgres_binaries

_ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.process, pytest.mark.postgres, pytest.mark.timeout(300)]


def test_a_short_run_measures_every_part_and_writes_the_page(tmp_path: Path, postgres_server: str) -> None:
    if postgres_binaries() is None or not sys.platform.startswith("linux"):
        pytest.skip(f"Linux and the programs of PostgreSQL are not here, but only a server: {postgres_server}")
    page = tmp_path / "sizing.md"
    page.write_text((_ROOT / "docs" / "reference" / "sizing.md").read_text(encoding="utf-8"), encoding="utf-8")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.sizing", "--hints", "50", "--hints", "300", "--plans", "12", "--rate", "10"),
            *("--idle", "2", "--round", "4", "0.5", "--phase1", "20"),
            *("--report-dir", str(tmp_path), "--page", str(page)),
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(next(tmp_path.glob("sizing-*.json")).read_text(encoding="utf-8"))
    assert [found["hints"] for found in report["hints"]["byApi"]] == [50, 300]
    assert [found["hints"] for found in report["hints"]["byScheduler"]] == [50, report["hints"]["window"]]
    assert report["tables"]["imported, approved"]["tasks"]["rows"] == 5
    assert report["tables"]["imported, approved, one webhook"]["deliveries"]["rows"] == 3
    assert report["tables"]["analysed by six agents, approved"]["job_executions"]["rows"] == 2
    assert report["memory"]["idle"]["worker"]["proportional"] > 10_000_000
    assert report["memory"]["connectionsIdle"]["relay"] == [0, 0]
    assert report["cpu"]["secondsPerPlan"]["imported, approved"]["web"] > 0
    assert report["servers"]["perPlan"]["imported, approved"]["wal_bytes"] > 0
    assert [found["jobs"] for found in report["worker"]] == [20, 80]
    assert page.read_text(encoding="utf-8").count("<!-- end of figures -->") == 1
