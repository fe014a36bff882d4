from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import JobSettings
from app.storage.database import Database
from tests.api import Api
from tests.pipeline import Pipeline


@pytest.fixture
def pipeline(database: Database, redis_url: str) -> Iterator[Pipeline]:
    """Return the pipeline's parts, with retries that are due at once, on SQLite and on PostgreSQL."""
    pipeline = Pipeline(database, redis_url, JobSettings(retry_delays_seconds=(0.0, 0.0, 0.0)))
    yield pipeline
    pipeline.close()


@pytest.fixture
def api(database_url: str, redis_url: str) -> Iterator[Api]:
    """Return the web application, on SQLite and on PostgreSQL."""
    api = Api(database_url, redis_url)
    yield api
    api.close()


@pytest.fixture
def sqlite_api(sqlite_template: Path, redis_url: str, tmp_path: Path) -> Iterator[Api]:
    """Return the web application on SQLite, for what no database can change."""
    path = tmp_path / "api.db"
    shutil.copyfile(sqlite_template, path)
    api = Api(f"sqlite:///{path}", redis_url)
    yield api
    api.close()
