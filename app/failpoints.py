"""Failpoints: places where a test may kill this process, to show what a crash there leaves behind.

Inert, unless the test variable MARKETPLACE_TEST_FAILPOINT names a file when the process starts. The file names a role
and a place, as in `worker job.after_claim`. The first process of that role that gets there takes the file away and
dies by SIGKILL: one file ends one process, once, however many there are and however often they start again.

The variable is no setting: it belongs to the crash-point tests (docs/reference/crash-points.md), every process but
those that have failpoints refuses it, and those tell in their log that they are armed.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from pathlib import Path

import structlog

from app.domain.processes import ProcessRole

_log = structlog.stdlib.get_logger(__name__)

#: The test variable, which `app.settings` refuses wherever it is not told to let it pass.
FAILPOINT_VARIABLE = "MARKETPLACE_TEST_FAILPOINT"


class Failpoint(StrEnum):
    """Where a process can be killed: every row of the protocol's crash table that ends a process at one place."""

    APPROVAL_BEFORE_COMMIT = "approval.before_commit"
    APPROVAL_AFTER_COMMIT = "approval.after_commit"
    APPROVAL_AFTER_HINT = "approval.after_hint"
    JOB_BEFORE_CLAIM = "job.before_claim"
    JOB_AFTER_CLAIM = "job.after_claim"
    JOB_AFTER_WORK = "job.after_work"
    JOB_BEFORE_COMPLETE_COMMIT = "job.before_complete_commit"
    JOB_AFTER_COMPLETE = "job.after_complete"
    JOB_AFTER_PUT_BACK = "job.after_put_back"
    SWEEP_AFTER_MARK = "sweep.after_mark"
    SWEEP_AFTER_SEND = "sweep.after_send"


class _Trigger:
    def __init__(self, role: ProcessRole, path: Path) -> None:
        self._role = role
        self._path = path

    def reach(self, point: Failpoint) -> None:
        try:
            if self._path.read_text(encoding="ascii").split() != [self._role, point]:
                return
            self._path.unlink()
        except FileNotFoundError:  # not set, or another process was first
            return
        os.kill(os.getpid(), signal.SIGKILL)


#: Empty in production: reaching a failpoint then costs one look at this list.
_armed: list[_Trigger] = []


def failpoint(point: Failpoint) -> None:
    """Die here, when a test wants it."""
    for trigger in _armed:
        trigger.reach(point)


def arm_failpoints(role: ProcessRole) -> None:
    """Let a test kill this process, when the test variable is set; entry files call this once, after their settings."""
    path = os.environ.get(FAILPOINT_VARIABLE)
    if path is None:
        return
    _armed[:] = [_Trigger(role, Path(path))]
    _log.error("failpoints_armed", role=role, file=path, advice=f"unset {FAILPOINT_VARIABLE}: it is for tests only")
