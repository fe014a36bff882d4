"""What the product is measured against: a plain Dramatiq actor on stock settings that writes the same rows.

Started by `python -m dramatiq tests.bench.bare_actor`, whose way is to import a module that connects.
"""

from __future__ import annotations

import os
from uuid import UUID

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from tests.bench.bare_work import create_tasks_plainly

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
dramatiq.set_broker(broker)
database = Database(DatabaseSettings(url=SecretStr(os.environ["BENCH_DATABASE_URL"])))


@dramatiq.actor
def create_tasks(job: str) -> None:
    """Create the tasks of an approved plan."""
    create_tasks_plainly(database, UUID(job))
