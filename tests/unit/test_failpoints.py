from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import structlog

from app import failpoints
from app.domain.errors import ConfigurationError
from app.domain.processes import ProcessRole
from app.failpoints import FAILPOINT_VARIABLE, Failpoint, arm_failpoints, failpoint
from app.settings import load_settings


@pytest.fixture(autouse=True)
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return whom a failpoint has killed; nothing stays armed."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: calls.append((pid, number)))
    monkeypatch.setattr(failpoints, "_armed", [])
    return calls


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(FAILPOINT_VARIABLE, str(tmp_path / "failpoint"))
    return tmp_path / "failpoint"


def test_a_process_dies_at_the_place_that_the_file_names_once(file: Path, killed: list[tuple[int, int]]) -> None:
    arm_failpoints(ProcessRole.WORKER)
    failpoint(Failpoint.JOB_AFTER_CLAIM)
    assert killed == []
    file.write_text("worker job.after_claim")
    failpoint(Failpoint.JOB_AFTER_CLAIM)
    failpoint(Failpoint.JOB_AFTER_CLAIM)
    assert killed == [(os.getpid(), signal.SIGKILL)]
    assert not file.exists()


@pytest.mark.parametrize("text", ["web job.after_claim", "worker job.after_work", ""])
def test_another_role_or_place_is_left_alone(text: str, file: Path, killed: list[tuple[int, int]]) -> None:
    arm_failpoints(ProcessRole.WORKER)
    file.write_text(text)
    failpoint(Failpoint.JOB_AFTER_CLAIM)
    assert killed == []
    assert file.exists()


def test_nothing_happens_in_a_process_that_is_not_armed(file: Path, killed: list[tuple[int, int]]) -> None:
    file.write_text("worker job.after_claim")
    failpoint(Failpoint.JOB_AFTER_CLAIM)
    assert killed == []


def test_nothing_is_armed_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FAILPOINT_VARIABLE, raising=False)
    with structlog.testing.capture_logs() as logs:
        arm_failpoints(ProcessRole.WORKER)
    assert failpoints._armed == []
    assert logs == []


def test_an_armed_process_says_so_as_an_error(file: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        arm_failpoints(ProcessRole.WEB)
    assert [(log["event"], log["log_level"], log["file"]) for log in logs] == [("failpoints_armed", "error", str(file))]


def test_the_variable_is_no_setting(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{FAILPOINT_VARIABLE}: no such setting"):
        load_settings()
    assert load_settings(ignoring=FAILPOINT_VARIABLE)
    assert not file.exists()
