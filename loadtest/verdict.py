"""The verdict on a load run, from outside: what the API says of every accepted approval once the dust has settled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from loadtest.ledger import Accepted


class Fate(StrEnum):
    """What became of an accepted approval."""

    COMPLETED = "completed"
    OPEN = "open"
    """Its job has not ended yet."""
    FAILED = "failed"
    """Its job ended without tasks, and says so."""
    LOST = "lost"
    """It has no job, or a completed job without all of its tasks."""
    DUPLICATED = "duplicated"
    """It has more than one job, or more tasks than the plan names."""


@dataclass(frozen=True)
class Outcome:
    """The fate of one approval; `seconds` is from its approval to the end of its job, by the product's clock."""

    approval: Accepted
    fate: Fate
    seconds: float | None = None


def outcome_of(approval: Accepted, plan: Mapping[str, Any]) -> Outcome:
    """Judge one approval by its plan as `GET /api/marketplace/analysis/{planId}` answers it."""
    jobs = [job for job in plan["jobs"] if job["kind"] == "phase1"]
    task_ids = {task["taskId"] for task in plan["tasks"]}
    titles = {task["title"] for task in plan["tasks"]}
    if len(jobs) > 1 or len(approval.job_ids) > 1 or len(task_ids) > approval.tasks or len(titles) < len(task_ids):
        return Outcome(approval, Fate.DUPLICATED)
    if not jobs or {jobs[0]["jobId"]} != approval.job_ids:
        return Outcome(approval, Fate.LOST)
    if jobs[0]["status"] in {"pending", "active"}:
        return Outcome(approval, Fate.OPEN)
    if jobs[0]["status"] == "failed":
        return Outcome(approval, Fate.FAILED)
    if len(task_ids) < approval.tasks:
        return Outcome(approval, Fate.LOST)
    return Outcome(approval, Fate.COMPLETED, _seconds_between(jobs[0]["createdAt"], jobs[0]["completedAt"]))


def settle(
    approvals: Sequence[Accepted],
    plans: Callable[[Sequence[str]], Sequence[Mapping[str, Any]]],
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Return the outcome of every approval, waiting up to `seconds` for open jobs to end.

    `plans` fetches the plans with these ids, in the same order.
    """
    end = time.monotonic() + seconds
    settled: list[Outcome] = []
    unsettled = list(approvals)
    while True:
        found = plans([approval.plan_id for approval in unsettled])
        outcomes = [outcome_of(approval, plan) for approval, plan in zip(unsettled, found, strict=True)]
        settled += [outcome for outcome in outcomes if outcome.fate is not Fate.OPEN]
        unsettled = [outcome.approval for outcome in outcomes if outcome.fate is Fate.OPEN]
        if not unsettled or time.monotonic() > end:
            return settled + [Outcome(approval, Fate.OPEN) for approval in unsettled]
        sleep(0.5)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of the values does not exceed; None when there are none.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
