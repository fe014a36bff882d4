"""Servers that tests share: one Valkey and, where it can be had, one PostgreSQL per run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from tests.servers import postgres_binaries, postgres_database, running_postgres, running_valkey

pytest_plugins = ("pytester", "tests.skips")

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]

_NO_POSTGRES = "PostgreSQL is not installed: run `make tools`, or set TEST_POSTGRES_URL to a server"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a real Valkey with a password; tests keep apart by their namespaces."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return the URL of a real PostgreSQL server; without one the test is skipped by name, in CI it fails."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    binaries = postgres_binaries()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail(_NO_POSTGRES)
        pytest.skip(_NO_POSTGRES)
    with running_postgres(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "marketplace.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Return the name of a migrated PostgreSQL database, to be copied."""
    with postgres_database(postgres_server) as url:
        _migrate(url)
        yield url.rpartition("/")[2]


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database of its own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'marketplace.db'}"
    else:
        with postgres_database(request.getfixturevalue("postgres_server")) as url:
            yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a migrated database of its own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "marketplace.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        template = request.getfixturevalue("postgres_template")
        with postgres_database(request.getfixturevalue("postgres_server"), template=template) as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a migrated database of its own, on SQLite and on PostgreSQL."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    yield database
    database.close()


def _migrate(url: str) -> None:
    database = Database(DatabaseSettings(url=SecretStr(url)))
    upgrade(database)
    database.close()
