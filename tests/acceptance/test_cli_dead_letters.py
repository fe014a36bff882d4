"""`marketplace dead-letters` against a running stack, whose workers run what is retried."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import click
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from app.domain.jobs import JobKind, JobStatus
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.schema import jobs, tasks
from tests.letters import archive_many, archive_one
from tests.servers import wait_until
from tests.stacks import COMMAND_SECONDS, MARKETPLACE, RunningStack, clean_environment, marketplace, running_stack

pytestmark = pytest.mark.process

#: More than a busy machine takes for a thousand jobs.
DONE_SECONDS = 100.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def database(stack: RunningStack) -> Iterator[Database]:
    """Return the database of the stack."""
    database = Database(DatabaseSettings(url=SecretStr(stack.facts["database"])))
    yield database
    database.close()


def done(stack: RunningStack, *arguments: str) -> Any:  # noqa: ANN401 -- JSON is any value
    """Return what a command prints as JSON."""
    result = marketplace("dead-letters", *arguments, "--json", cwd=stack.directory)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def completed(database: Database, failed: list[UUID]) -> int:
    """Return how many of the jobs that follow these have completed."""
    with database.read() as connection:
        followers = connection.execute(
            select(jobs.c.retry_of).where(jobs.c.retry_of.is_not(None), jobs.c.status == JobStatus.COMPLETED)
        )
        return len({row.retry_of for row in followers} & set(failed))


@pytest.mark.timeout(300)
def test_a_thousand_letters_are_retried_once_however_often_somebody_clicks(
    stack: RunningStack, database: Database
) -> None:
    failed = archive_many(database, 1000, message="an outage")
    chosen = ("retry", "--text", "an outage", "--limit", "1000")
    foreseen = done(stack, *chosen, "--dry-run")
    assert (foreseen["matched"], foreseen["retried"], foreseen["skipped"]) == (1000, 1000, 0)

    with ThreadPoolExecutor(2) as pool:
        clicks = list(pool.map(lambda _: done(stack, *chosen, "--yes"), range(2)))

    assert sum(click["retried"] for click in clicks) == foreseen["retried"]
    assert all(click["matched"] == click["retried"] + click["skipped"] for click in clicks)
    wait_until(lambda: completed(database, failed) == 1000, seconds=DONE_SECONDS, what="the retried jobs to complete")
    with database.read() as connection:
        followers = connection.scalars(select(jobs.c.retry_of).where(jobs.c.retry_of.in_(failed))).all()
        created = connection.scalar(
            select(func.count())
            .select_from(tasks)
            .join(jobs, jobs.c.job_id == tasks.c.job_id)
            .where(jobs.c.retry_of.in_(failed))
        )
    click.echo(f"dry run: {foreseen['retried']} of {foreseen['matched']} would be retried")
    for number, answer in enumerate(clicks, start=1):
        found, retried, skipped = (answer[name] for name in ("matched", "retried", "skipped"))
        click.echo(f"click {number}: {found} found, {retried} retried, {skipped} skipped")
    click.echo(f"new jobs: {len(followers)}, tasks: {created}")
    assert sorted(followers) == sorted(failed)
    assert created == 3 * 1000


def test_a_letter_is_looked_at_retried_and_done(stack: RunningStack, database: Database) -> None:
    failed = archive_one(database, message="no answer \x1b[31m today")
    listed = marketplace("dead-letters", "list", cwd=stack.directory)
    assert str(failed) in listed.stdout
    assert "\x1b" not in listed.stdout
    assert "worker-1" in marketplace("dead-letters", "show", str(failed), cwd=stack.directory).stdout
    (retried,) = done(stack, "retry", str(failed))
    watched = marketplace("jobs", "watch", retried["jobId"], cwd=stack.directory)
    assert watched.stdout == "completed\n"
    assert done(stack, "show", str(failed))["retriedAs"] == retried["jobId"]
    assert str(failed) not in marketplace("dead-letters", "list", cwd=stack.directory).stdout
    assert str(failed) in marketplace("dead-letters", "list", "--status", "retried", cwd=stack.directory).stdout


def test_jobs_retry_is_the_same_by_another_name(stack: RunningStack, database: Database) -> None:
    failed = archive_one(database)
    result = marketplace("jobs", "retry", str(failed), "--json", cwd=stack.directory)
    assert result.returncode == 0
    (again,) = done(stack, "retry", str(failed))
    assert again["jobId"] == json.loads(result.stdout)["jobId"]


def test_an_error_with_one_letter_does_not_keep_the_others(stack: RunningStack, database: Database) -> None:
    failed, unknown = archive_one(database), str(uuid.uuid4())
    result = marketplace(
        "dead-letters", "discard", unknown, str(failed), "--reason", "a test order", "--json", cwd=stack.directory
    )
    assert result.returncode == 3
    assert unknown in result.stderr
    assert [letter["id"] for letter in json.loads(result.stdout)] == [str(failed)]
    assert done(stack, "show", str(failed))["resolutionReason"] == "a test order"


def test_an_export_goes_to_a_file_or_to_standard_output(stack: RunningStack, database: Database) -> None:
    failed = archive_one(database, kind=JobKind.ANALYSIS, reason="remote_auth")
    path = stack.directory / "letters.csv"
    chosen = ("export", "--reason", "remote_auth")
    assert done(stack, *chosen, "--format", "csv", str(path)) == {"file": str(path), "letterCount": 1}
    with path.open(newline="") as file:
        assert [row["jobId"] for row in csv.DictReader(file)] == [str(failed)]
    assert marketplace("dead-letters", *chosen, str(path), cwd=stack.directory).returncode == 2
    line = marketplace("dead-letters", *chosen, cwd=stack.directory).stdout
    assert json.loads(line) == done(stack, "show", str(failed))


def test_on_a_terminal_a_bulk_retry_asks_first(stack: RunningStack, database: Database) -> None:
    failed = archive_one(database, kind=JobKind.ANALYSIS, message="ask me")
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"n\n")
    result = subprocess.run(
        [MARKETPLACE, "dead-letters", "retry", "--text", "ask me"],
        cwd=stack.directory,
        env=clean_environment(),
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    os.close(keyboard)
    os.close(terminal)
    assert "Retry 1 dead letters?" in result.stderr
    assert result.returncode == 1
    assert done(stack, "show", str(failed))["status"] == "waiting"
