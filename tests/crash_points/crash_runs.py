"""Crash points: let a stack run into the rows of the crash table, and see from outside what becomes of the jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.crash_points.crash_rows import CrashRow
from tests.crash_points.crash_site import CrashSite, crash_site
from tests.faults.contradictions import contradictions
from tests.faults.scenario import is_busy
from tests.faults.verdict import Verdict, judge

#: What has not ended by then is stuck.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Measured:
    """A row as it went: `seconds` from the crash to the last job done; `wrong` is what else is wrong, in words."""

    row: CrashRow
    database: str
    seconds: float
    jobs: int
    verdict: Verdict
    wrong: Sequence[str]

    @property
    def missed(self) -> list[str]:
        """What the row missed, in words."""
        found = list(self.wrong)
        if not self.verdict.is_good:
            found.append(f"{self.verdict}")
        if self.seconds > self.row.seconds:
            found.append(f"{self.seconds:.1f} s, at most {self.row.seconds:.0f} s expected")
        return [f"{self.row.name} on {self.database}: {what}" for what in found]


def measure_rows(database: str, rows: Sequence[CrashRow], *, settled: bool = True) -> Iterator[Measured]:
    """Yield these rows, one after the other on one stack; see `CrashSite.wait_until_whole` for `settled`."""
    with crash_site(database) as site:
        for row in rows:
            site.wait_until_whole(settled=settled)
            yield measure(site, row, database)


def measure(site: CrashSite, row: CrashRow, database: str) -> Measured:
    """Let the crash happen, and the stack run until nothing is left to do."""
    crash = row.crash(site)
    while is_busy(site.stack) and time.monotonic() < crash.at + _PATIENCE_SECONDS:
        time.sleep(0.02)
    seconds = time.monotonic() - crash.at
    plan_ids = [UUID(approval.plan_id) for approval in crash.approvals]
    verdict = judge(site.stack.database, plan_ids)
    wrong = contradictions(site.stack.stack.api, site.stack.database, {a.job_id for a in crash.approvals})
    return Measured(row, database, seconds, len(plan_ids), verdict, wrong)
