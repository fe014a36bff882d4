"""A scenario: what is done to a running pipeline, and how the run is judged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from app.domain.errors import DatabaseUnavailableError
from tests.faults.contradictions import contradictions
from tests.faults.faulty_stack import CHANNEL, FaultyStack, Injection, faulty_stack, tell
from tests.faults.traffic import Approved, Traffic
from tests.faults.verdict import Verdict, judge, open_jobs

#: From the end of the fault to the last job's end, at most.
MOST_SECONDS = 30.0
#: A run that takes longer is judged as it stands: what is open then is stuck.
_PATIENCE_SECONDS = 150.0

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True)
class Scenario:
    """One fault.

    `after_approval` is called with the stack, and the plan and job of each approval. `check` returns what is wrong
    beside the counts, in words.
    """

    name: str
    title: str
    inject: Injection
    databases: Sequence[str] = (SQLITE, POSTGRESQL)
    settings: Mapping[str, str] = field(default_factory=dict)
    after_approval: Callable[[FaultyStack, str, str], None] = lambda _stack, _plan, _job: None
    check: Callable[[FaultyStack, Verdict], list[str]] = lambda _stack, _verdict: []


@dataclass(frozen=True)
class Outcome:
    """What one scenario found on one database; `seconds` from the end of the fault to the last job's end."""

    scenario: str
    title: str
    database: str
    jobs: int
    verdict: Verdict
    seconds: float
    repeated: int
    wrong: Sequence[str]

    @property
    def missed(self) -> list[str]:
        """What the run missed, in words."""
        found = [
            f"{count} {name}"
            for name, count in (
                ("lost", self.verdict.lost),
                ("duplicated", self.verdict.duplicated),
                ("stuck", self.verdict.stuck),
                ("dead", self.verdict.dead),
            )
            if count
        ]
        if self.seconds > MOST_SECONDS:
            found.append(f"the last job was done {self.seconds:.1f} s after the fault, at most {MOST_SECONDS:.0f} s")
        return [f"{self.scenario} on {self.database}: {what}" for what in (*found, *self.wrong)]


def play(scenario: Scenario, database: str, directory: Path, *, jobs: int, rate: float) -> Outcome:
    """Run one scenario on a stack of its own: approve `jobs` plans, `rate` a second, with the fault in the midst."""
    with faulty_stack(directory, database, scenario.settings) as stack:
        traffic = Traffic(stack.stack.facts["urls"]["web"], stack.stack.token, CHANNEL)
        plan_ids = traffic.import_plans(jobs)
        approvals: list[Approved] = []

        def approve() -> None:
            approvals.extend(
                traffic.approve(plan_ids, rate=rate, after=lambda plan, job: scenario.after_approval(stack, plan, job))
            )

        sending = threading.Thread(target=approve)
        sending.start()
        _wait(lambda: traffic.approved >= jobs // 4 or not sending.is_alive())
        tell(f"{scenario.name} on {database}: fault begins, {traffic.approved} of {jobs} approved")
        scenario.inject(stack, lambda: sending.is_alive() or is_busy(stack))
        over_at = datetime.now(UTC)
        tell(f"{scenario.name} on {database}: fault is over")
        sending.join(_PATIENCE_SECONDS)
        _wait(lambda: not sending.is_alive() and not is_busy(stack))
        verdict = judge(stack.database, [UUID(plan_id) for plan_id in plan_ids])
        unanswered = jobs - len(approvals)
        last = verdict.last_completed_at or over_at
        return Outcome(
            scenario.name,
            scenario.title,
            database,
            jobs,
            verdict,
            max(0.0, (last - over_at).total_seconds()),
            repeated=sum(approval.tries > 1 for approval in approvals),
            wrong=[
                *scenario.check(stack, verdict),
                *contradictions(stack.stack.api, stack.database, {approval.job_id for approval in approvals}),
                *([f"{unanswered} approvals were never answered"] if unanswered else []),
            ],
        )


def is_busy(stack: FaultyStack) -> bool:
    """Tell whether jobs are unfinished; while the database does not answer, they may be."""
    try:
        return open_jobs(stack.database) > 0
    except DatabaseUnavailableError:
        return True


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
