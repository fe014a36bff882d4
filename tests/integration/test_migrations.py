from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import text

from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import differences, upgrade
from app.storage.revisions import NEWEST, REVISIONS, current_revision, is_migrated
from app.storage.schema import jobs, plans


def test_the_migrated_database_is_the_schema(database: Database) -> None:
    assert differences(database) == []
    assert current_revision(database) == NEWEST


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert upgrade(database) == NEWEST
    assert differences(database) == []


def test_the_schema_of_a_newer_version_is_left_as_it_is(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert upgrade(database) == "9999"
    assert differences(database) == []


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_tables_that_change_all_the_time_are_vacuumed_often(database: Database) -> None:
    with database.read() as connection:
        found = connection.execute(
            text("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL")
        )
        options = {row.relname: dict(option.split("=") for option in row.reloptions) for row in found}
    asked = {
        table.name: {name: str(value) for name, value in table.dialect_options["postgresql"]["with"].items()}
        for table in (plans, jobs)
    }
    assert options == asked


def test_several_processes_may_migrate_at_once(empty_database_url: str) -> None:
    databases = [Database(DatabaseSettings(url=SecretStr(empty_database_url))) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(upgrade, databases)) == {NEWEST}
    assert differences(databases[0]) == []
    for database in databases:
        database.close()


def test_an_empty_database_has_no_revision(empty_database_url: str) -> None:
    database = Database(DatabaseSettings(url=SecretStr(empty_database_url)))
    assert current_revision(database) is None
    database.close()


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "app.storage:migrations")
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in reversed(list(scripts))) == REVISIONS


@pytest.mark.parametrize(("revision", "migrated"), [(None, False), (NEWEST, True), ("from a newer version", True)])
def test_a_process_works_on_the_newest_revision_and_on_newer_ones(revision: str | None, *, migrated: bool) -> None:
    assert is_migrated(revision) == migrated
