from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks import COMMAND_SECONDS, clean_environment

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.process
def test_the_command_tells_how_approvals_are_answered_in_a_state_of_redis() -> None:
    command = [sys.executable, "-m", "tests.faults.approve", "--state", "silent", "--approvals", "20", "--rate", "10"]
    ended = subprocess.run(
        command,
        cwd=_ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    # How fast a busy machine is, is not this test's business.
    assert ended.returncode in {0, 6}, ended.stderr
    (row,) = [line for line in ended.stdout.splitlines() if line.startswith("| silent")]
    answers = row.split("|")[-2]
    assert sum(int(part.split(" x ")[0]) for part in answers.split(",")) == 20
