"""A dump of PostgreSQL, restored beside an empty Valkey, with the commands of docs/howto/backup.md."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.local.simulations import SimulatedAgents
from deploy.local.story_plans import PLAIN, WITHOUT_PHASE_1
from tests.relay_process import alert, post_alerts, running_relay
from tests.servers import free_port, postgres_binaries, postgres_server_in, running_valkey, wait_until
from tests.stacks import RunningStack, approve, import_plan, running_stack

pytestmark = [pytest.mark.process, pytest.mark.postgres, pytest.mark.timeout(240)]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "backup.md"
_DONE = 5
_WAITING = 24
_HOUR_MS = 3_600_000


def shown(words: str) -> list[str]:
    """Return the commands of the page that begin with these words."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", _PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith(words)]


def run(words: str, directory: Path, **variables: str) -> list[str]:
    """Run those commands as a person would, and return what each prints."""
    commands = shown(words)
    assert commands
    return [run_one(command, directory, dict(variables)) for command in commands]


def run_one(command: str, directory: Path, variables: dict[str, str]) -> str:
    """Run one command in a shell that finds the programs of the product and of PostgreSQL."""
    binaries = postgres_binaries()
    assert binaries is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), str(binaries), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=os.environ | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


@contextmanager
def stack_on(directory: Path, database_url: str) -> Iterator[RunningStack]:
    """Yield a stack on this database, with a Valkey of its own that is empty."""
    with (
        running_valkey(directory / "valkey") as redis_url,
        running_stack(directory, DATABASE_URL=database_url, REDIS_URL=redis_url) as stack,
    ):
        yield stack


def test_a_dump_restored_beside_an_empty_redis_lets_every_job_complete(tmp_path: Path, postgres_server: str) -> None:
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("the programs of PostgreSQL are not here: run `make tools`")
    assert postgres_server
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with postgres_server_in(binaries) as server, stack_on(old, server.url) as stack:
        approved = [import_plan(stack.api, f"Done {n}", "amazon", PLAIN) for n in range(_DONE)]
        for plan in approved:
            approve(stack.api, plan)
        wait_until(lambda: states(server.url)["completed"] == _DONE, what="the first jobs")
        # Slow jobs: some run when the dump is made, the others wait.
        SimulatedAgents(stack.facts["urls"]["agents"]).behave("amazon", mode="slow", latencyMs=3000)
        waiting = [import_plan(stack.api, f"Waiting {n}", "amazon", WITHOUT_PHASE_1) for n in range(_WAITING)]
        for plan in waiting:
            approve(stack.api, plan)
        wait_until(lambda: states(server.url)["active"] > 0, what="jobs that run")
        run("pg_dump", tmp_path, DATABASE_URL=server.url)
    with postgres_server_in(binaries) as server:
        run("pg_restore", tmp_path, RESTORED_URL=server.url)
        run('DATABASE_URL="$RESTORED_URL" marketplace db upgrade', tmp_path, RESTORED_URL=server.url)
        restored = states(server.url)
        assert restored["active"] > 0
        assert restored["pending"] > 0
        let_an_hour_pass(server.url)
        with stack_on(new, server.url):
            wait_until(
                lambda: states(server.url) == {"completed": _DONE + _WAITING}, seconds=120, what="every job to complete"
            )
            assert drill_figures(tmp_path, server.url) == [_DONE + _WAITING, _DONE + _WAITING]
        tasks = tasks_by_plan(server.url)
        assert set(tasks) == {*approved, *waiting}
        assert {tasks[plan] for plan in approved} == {3}
        with psycopg.connect(server.url) as connection:
            doubled = connection.execute(
                "SELECT plan_id, title FROM marketplace_tasks GROUP BY plan_id, title HAVING count(*) > 1"
            ).fetchall()
        assert doubled == []


def test_the_relay_s_file_is_copied_while_it_writes(tmp_path: Path) -> None:
    with running_relay(tmp_path, slack_webhook_url=f"http://127.0.0.1:{free_port()}/services/T0/B0/C0") as relay:
        post_alerts(relay.url, [alert("shein")]).raise_for_status()
        wait_until(relay.waiting, what="a message that waits")
        run("python3", tmp_path, MARKETPLACE_RELAY__FILE=str(relay.file))
    with closing(sqlite3.connect(tmp_path / "relay-backup.db")) as copy:
        assert copy.execute("SELECT count(*) FROM messages WHERE state = 'waiting'").fetchone() == (1,)


def drill_figures(directory: Path, url: str) -> list[int]:
    """Return the numbers that the page says to compare."""
    return [int(printed) for printed in run("psql", directory, RESTORED_URL=url)]


def states(url: str) -> Counter[str]:
    """Return how many jobs are in each state."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT status, count(*) FROM marketplace_job_executions GROUP BY status").fetchall()
    return Counter(dict(rows))


def tasks_by_plan(url: str) -> dict[str, int]:
    """Return the number of tasks of every plan that has any."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT plan_id::text, count(*) FROM marketplace_tasks GROUP BY plan_id").fetchall()
    return dict(rows)


def let_an_hour_pass(url: str) -> None:
    """Make the restored jobs an hour older, as if the dump were: leases and total times are over."""
    columns = (
        "lease_until_at",
        "available_at",
        "next_dispatch_at",
        "deadline_at",
        "created_at",
        "started_at",
        "completed_at",
    )
    older = ", ".join(f"{column} = {column} - {_HOUR_MS}" for column in columns)
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE marketplace_job_executions SET {older}")
