"""The figures of a demo, read over the API when its story has ended: what became of everything that was approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import quantiles
from typing import Any

from app.cli.remote import Remote

_ALL = 10_000


@dataclass(frozen=True)
class Figures:
    """What became of the plans.

    `jobs` counts them by status, `tasks` by source; `examples` has one task of each source. `p50_ms` and `p99_ms` are
    the times from approval to completion of the burst's jobs, in milliseconds.
    """

    plans_approved: int
    plans_completed: int
    duplicated: int
    retries: int
    jobs: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def lost(self) -> int:
        """Approved plans that have not got their tasks."""
        return self.plans_approved - self.plans_completed


def read_figures(api: Remote, burst: Iterable[str]) -> Figures:
    """Count over all plans and jobs; `burst` holds the ids of the jobs whose times are measured.

    Raises:
        MarketplaceError: The API does not answer.
    """
    approved = [api.get(f"analysis/{plan['planId']}") for plan in api.items("analysis", limit=_ALL, status="approved")]
    jobs = {job["jobId"]: job for job in api.items("jobs", limit=_ALL)}
    tasks = [task for plan in approved for task in plan["tasks"]]
    p50, p99 = percentiles([milliseconds(jobs[job_id]) for job_id in burst])
    return Figures(
        plans_approved=len(approved),
        plans_completed=sum(is_completed(plan) for plan in approved),
        duplicated=sum(is_duplicated(plan) for plan in approved),
        retries=sum(max(job["attemptCount"] - 1, 0) for job in jobs.values()),
        jobs=Counter(job["status"] for job in jobs.values()),
        tasks=Counter(task["source"] for task in tasks),
        examples={task["source"]: task for task in tasks},
        p50_ms=p50,
        p99_ms=p99,
    )


def is_completed(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan's Phase 1 job has completed and all tasks that it reports are there."""
    return any(
        job["status"] == "completed"
        and job["jobId"] == plan["phase1JobId"]
        and job["result"]["taskCount"] == len(plan["tasks"]) > 0
        for job in plan["jobs"]
    )


def is_duplicated(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan has more than one Phase 1 job, or tasks of more than one job, or a task twice."""
    jobs = [job for job in plan["jobs"] if job["kind"] == "phase1"]
    makers = {task["jobId"] for task in plan["tasks"]}
    once = {(task["channel"], task["title"]) for task in plan["tasks"]}
    return len(jobs) > 1 or len(makers) > 1 or len(once) < len(plan["tasks"])


def milliseconds(job: Mapping[str, Any]) -> float:
    """Return the time from a job's creation, which is the approval, to its completion."""
    return seconds_between(job["createdAt"], job["completedAt"]) * 1000


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two times of the API.

    >>> seconds_between("2026-11-27T03:00:00.500Z", "2026-11-27T03:00:02.000Z")
    1.5
    """
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile of at least two values, interpolated.

    >>> percentiles([float(n) for n in range(101)])
    (50.0, 99.0)
    """
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]
