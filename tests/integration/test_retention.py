"""The statement of docs/howto/retention.md: it deletes what is old and done, with all that belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from tests.bench.seeding import seed_jobs
from tests.servers import postgres_database

pytestmark = pytest.mark.postgres

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "retention.md"
_DAY_MS = 86_400_000


@pytest.fixture
def connection(postgres_server: str, postgres_template: str) -> Iterator[psycopg.Connection]:
    """Return a connection to a database with four jobs that are done, each with a task, an attempt and a delivery."""
    with postgres_database(postgres_server, template=postgres_template) as url:
        database = Database(DatabaseSettings(url=SecretStr(url)))
        seed_jobs(database, 4, seed=1)
        database.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_DONE)
            yield connection


#: Every job has run; what it leaves behind has no older time than the job itself.
_DONE = """
UPDATE marketplace_job_executions SET status = 'completed', completed_at = created_at;
UPDATE marketplace_plans AS plan SET phase1_job_id = job_id
FROM marketplace_job_executions AS job WHERE job.plan_id = plan.id;
INSERT INTO marketplace_job_attempts (job_id, fence, attempt_number, worker, started_at, outcome)
SELECT job_id, 1, 1, 'w', created_at, 'completed' FROM marketplace_job_executions;
INSERT INTO marketplace_tasks (id, plan_id, phase, item_key, position, title, description, priority, source,
    needs_review, job_id, fence, created_at)
SELECT job_id, plan_id, 1, 'a', 1, 't', '', 'high', 'plan', false, job_id, 1, created_at
FROM marketplace_job_executions;
INSERT INTO marketplace_webhook_subscriptions (id, url, secret, created_at, created_by)
VALUES (gen_random_uuid(), 'https://example.com', 's', 0, 'me');
INSERT INTO marketplace_deliveries (id, event_id, subscription_id, status, attempt, next_attempt_at, fence, created_at)
SELECT event.id, event.id, subscription.id, 'delivered', 1, 0, 0, event.created_at
FROM marketplace_events AS event, marketplace_webhook_subscriptions AS subscription;
"""

_BELONGS = ("job_executions", "job_attempts", "tasks", "events", "deliveries")


def delete_old(connection: psycopg.Connection) -> int:
    """Run the statement of the page, and return how many plans it has deleted."""
    [statement] = re.findall(r"^```sql\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return connection.execute(statement).rowcount


def grow_old(connection: psycopg.Connection, count: int, *, days: int = 91) -> list[UUID]:
    """Make the first plans and their jobs older, and return the plans."""
    found = connection.execute("SELECT id FROM marketplace_plans ORDER BY id LIMIT %s", (count,)).fetchall()
    plans = [plan for (plan,) in found]
    older = days * _DAY_MS
    connection.execute("UPDATE marketplace_plans SET created_at = created_at - %s WHERE id = ANY(%s)", (older, plans))
    connection.execute(
        "UPDATE marketplace_job_executions SET created_at = created_at - %s, completed_at = completed_at - %s"
        " WHERE plan_id = ANY(%s)",
        (older, older, plans),
    )
    return plans


def rows(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM marketplace_{table}").fetchone()
    assert row is not None
    return int(row[0])


def test_plans_of_more_than_90_days_go_with_all_that_belongs_to_them(connection: psycopg.Connection) -> None:
    grow_old(connection, 3)
    assert delete_old(connection) == 3
    assert {table: rows(connection, table) for table in ("plans", *_BELONGS)} == dict.fromkeys(("plans", *_BELONGS), 1)
    assert delete_old(connection) == 0


def test_plans_of_89_days_stay(connection: psycopg.Connection) -> None:
    grow_old(connection, 3, days=89)
    assert delete_old(connection) == 0


def test_a_plan_that_nobody_has_decided_stays(connection: psycopg.Connection) -> None:
    plans = grow_old(connection, 1)
    connection.execute("UPDATE marketplace_plans SET status = 'awaiting_approval' WHERE id = ANY(%s)", (plans,))
    assert delete_old(connection) == 0


def test_a_plan_with_an_open_job_stays(connection: psycopg.Connection) -> None:
    plans = grow_old(connection, 1)
    connection.execute(
        "UPDATE marketplace_job_executions SET status = 'pending', completed_at = NULL WHERE plan_id = ANY(%s)",
        (plans,),
    )
    assert delete_old(connection) == 0


@pytest.mark.parametrize(("status", "deleted"), [("waiting", 0), ("discarded", 1)])
def test_a_plan_stays_while_a_dead_letter_of_it_waits(
    connection: psycopg.Connection, status: str, deleted: int
) -> None:
    plans = grow_old(connection, 1)
    connection.execute(
        "INSERT INTO marketplace_dead_letters (id, job_id, reason, payload, history, archived_at, status)"
        " SELECT job_id, job_id, 'retries_exhausted', %s, %s, 0, %s FROM marketplace_job_executions"
        " WHERE plan_id = ANY(%s)",
        (Jsonb({}), Jsonb([]), status, plans),
    )
    assert delete_old(connection) == deleted
