"""Watching one job until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from app.cli.output import readable, say
from app.cli.remote import Remote
from app.domain.errors import DeadlineExceededError, RecoverableError
from app.domain.jobs import JobStatus

#: Longer than any job may take with all its attempts.
WAIT_SECONDS = 900.0

_POLL_SECONDS = 0.25
#: What of a job is worth telling when it changes.
_TOLD = ("status", "progress", "attemptCount")


def final_state(
    remote: Remote, job_id: str, *, timeout_seconds: float, on_change: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Return a job once it has ended; `on_change` gets it whenever its state, progress or attempts change.

    A stack that does not answer for a while, as during a restart, is asked again.

    Raises:
        DeadlineExceededError: The job has not ended within `timeout_seconds`.
        NotFoundError: There is no such job.
    """
    deadline = time.monotonic() + timeout_seconds
    told: list[object] = []
    while True:
        try:
            job = remote.get(f"jobs/{job_id}")
        except RecoverableError:
            if time.monotonic() > deadline:
                raise
        else:
            now = [job[name] for name in _TOLD]
            if now != told:
                told = now
                on_change(job)
            if job["status"] in {JobStatus.COMPLETED, JobStatus.FAILED}:
                return job
        if time.monotonic() > deadline:
            raise DeadlineExceededError(f"job {job_id} has not ended within {timeout_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def tell_change(job: Mapping[str, Any]) -> None:
    """Say on standard error where a job is."""
    error = f", {readable(job['error']['message'])}" if job["error"] else ""
    say(f"{job['status']}, {job['progress']} %, attempt {job['attemptCount']}{error}")
