from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import jobs as commands
from app.cli.main import marketplace

JOB: dict[str, Any] = {
    "jobId": "7a7ce4e1-5b0c-4a9e-9f0f-0c8d3f3f6a11",
    "planId": "7a7ce4e1-5b0c-4a9e-9f0f-0c8d3f3f6a12",
    "kind": "analysis",
    "status": "completed",
    "progress": 100,
    "createdAt": "2026-11-27T03:00:00.000Z",
    "startedAt": "2026-11-27T03:00:00.000Z",
    "completedAt": "2026-11-27T03:00:09.000Z",
    "nextAttemptAt": None,
    "error": None,
    "attempts": [],
}
AGENT = {
    "agent": "amazon",
    "seconds": 17.5,
    "policy": "learned",
    "rule": {"base": 30.0, "opportunities": 2.5, "transitions": 5.0, "peak": 10.0, "total": 47.5, "seconds": 47.5},
    "learnedSeconds": 17.5,
    "configuredSeconds": 60.0,
}


def shown(monkeypatch: pytest.MonkeyPatch, **more: object) -> list[list[str]]:
    remote = SimpleNamespace(get=lambda _path: {**JOB, **more})
    monkeypatch.setattr(commands, "connect", lambda: remote)
    ended = CliRunner().invoke(marketplace, ["jobs", "show", JOB["jobId"]])
    assert ended.exit_code == 0, ended.output
    return [line.split() for line in ended.output.splitlines()]


def test_a_job_that_asked_agents_shows_the_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = {"mode": "learned", "attempt": 1, "attemptSeconds": 120.0, "agents": [AGENT]}
    lines = shown(monkeypatch, timeoutSeconds=19.421, timeoutReason=reason)
    assert ["timeout", "19.421", "s,", "mode", "learned"] in lines
    assert ["amazon", "17.5", "learned", "30.0", "2.5", "5.0", "10.0", "47.5", "17.5", "60.0"] in lines


def test_a_job_that_asked_none_shows_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, timeoutSeconds=10.0, timeoutReason={"mode": "fixed"})
    assert ["timeout", "10", "s,", "mode", "fixed"] in lines
    assert not any(line[:1] == ["Agent"] for line in lines)
