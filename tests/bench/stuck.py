"""How soon the scheduler tells of plans that are stuck, in the stack that `marketplace run` starts."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import update

from app.domain.jobs import PlanStatus
from app.domain.stuck_plans import StuckCause
from app.settings import DatabaseSettings
from app.storage.clock import now_plus
from app.storage.database import Database
from app.storage.schema import plans
from loadtest.plans import ready_plan
from tests.bench.latency import Client, running_stack
from tests.bench.section import Section
from tests.bench.seeding import TASKS
from tests.servers import wait_until

#: What users were promised: seconds from the moment at which a plan is stuck until the scheduler tells of it.
FOUND_SECONDS = 5.0

#: The plans get stuck at moments that have nothing to do with the scheduler's pace, in seconds apart.
_PAUSE_SECONDS = (0.1, 0.9)

#: Nobody works here, so a job is stuck as soon as it has waited for its limit, in seconds.
_SETTINGS = {"MARKETPLACE_WORKER__PHASE1_THREADS": "0", "MARKETPLACE_JOBS__STUCK_AFTER_SECONDS": "1"}

_CAUSES = (StuckCause.NO_JOB, StuckCause.WAITING)


@dataclass(frozen=True)
class FoundAfter:
    """Seconds from the limit of the stage until the scheduler told of the plan."""

    p50: float
    most: float


def found_after(directory: Path, database_url: str, redis_url: str, *, count: int) -> dict[StuckCause, FoundAfter]:
    """Let plans lose their job, and the jobs that the scheduler makes for them wait in vain."""
    chance = random.Random(count)
    with running_stack(directory, database_url, redis_url, **_SETTINGS) as client:
        for plan_id in [_imported(client, chance) for _ in range(count)]:
            time.sleep(chance.uniform(*_PAUSE_SECONDS))
            _approve_without_a_job(database_url, plan_id)
        told = wait_until(lambda: _all_told(directory, count), seconds=60, what="the scheduler to tell of every plan")
    return {cause: FoundAfter(median(told[cause]), max(told[cause])) for cause in _CAUSES}


def stuck_section(measured: Mapping[str, Mapping[StuckCause, FoundAfter]], *, count: int) -> Section:
    """Return how soon stuck plans were found."""
    found = [(database, cause, after) for database, causes in measured.items() for cause, after in causes.items()]
    return Section(
        "stuck",
        f"How soon {count} stuck plans were found",
        ("Database", "Cause", "Found after p50", "Found after max"),
        [(database, cause, f"{after.p50:.1f} s", f"{after.most:.1f} s") for database, cause, after in found],
        {database: {cause: asdict(after) for cause, after in causes.items()} for database, causes in measured.items()},
        [
            f"{cause} on {database}: found after {after.most:.1f} s, at most {FOUND_SECONDS:.0f} s expected"
            for database, cause, after in found
            if after.most > FOUND_SECONDS
        ],
    )


def _imported(client: Client, chance: random.Random) -> UUID:
    body = ready_plan(chance, "amazon", tasks=TASKS)
    return UUID(client.call("POST", "/api/marketplace/analysis/import", body)["planId"])


def _approve_without_a_job(database_url: str, plan_id: UUID) -> None:
    """Do what no part of the product does."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    with database.write() as connection:
        approved = {"status": PlanStatus.APPROVED, "approved_at": now_plus()}
        connection.execute(update(plans).where(plans.c.id == plan_id).values(approved))
    database.close()


def _all_told(directory: Path, count: int) -> Mapping[StuckCause, Sequence[float]]:
    """Return the seconds over the limit at which plans were told of, when all have come to the last cause.

    Nothing before. A plan is not told of as `no_job` when the sweeper, which looks as well, was first to mend it.
    """
    lines = (directory / "logs" / "scheduler.log").read_text(encoding="utf-8").splitlines()
    logs = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    told = {
        cause: [
            log["age_seconds"] - log["limit_seconds"]
            for log in logs
            if log["event"] == "plan_stuck" and log["cause"] == cause
        ]
        for cause in _CAUSES
    }
    return told if len(told[StuckCause.WAITING]) == count and told[StuckCause.NO_JOB] else {}
