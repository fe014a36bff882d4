from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


def _load(tmp_path: Path, *, approvals: int, seconds: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "deploy.load", "--approvals", str(approvals), "--users", "5"),
            *("--seconds", str(seconds)),
            *("--data-dir", str(tmp_path / "stack"), "--report-dir", str(tmp_path / "reports")),
        ],
        cwd=_ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_every_accepted_approval_of_a_load_run_completes_once(tmp_path: Path) -> None:
    ended = _load(tmp_path, approvals=25, seconds=90)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(next((tmp_path / "reports").glob("load-*.json")).read_text(encoding="utf-8"))
    assert (report["accepted"], report["completed"], report["lost"], report["duplicated"]) == (25, 25, 0, 0)
    assert report["completionP99Seconds"] > 0
    assert ended.stdout.splitlines()[-1].startswith("report: ")


def test_a_load_run_whose_approvals_are_not_accepted_exits_with_6(tmp_path: Path) -> None:
    nobody = {"MARKETPLACE_URL": "http://127.0.0.1:9", "MARKETPLACE_TOKEN": "none"}
    ended = _load(tmp_path, approvals=1, seconds=1, **nobody)
    assert ended.returncode == 6, ended.stdout + ended.stderr
    assert "threshold missed: 1 approvals were not accepted" in ended.stdout
