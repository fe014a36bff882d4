from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.bootstrap_token import NAME, BootstrapToken
from app.domain.errors import DatabaseUnavailableError, NotAuthenticatedError
from app.domain.roles import Actor, Role
from app.settings import DatabaseSettings
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.storage.schema import audit_log
from app.tokens import Tokens, new_token
from tests.api import Api
from tests.servers import wait_until
from tests.web_process import running_web

ROOT = Actor("root", Role.ADMIN)


@pytest.fixture
def tokens(database: Database) -> Tokens:
    """Return the tokens of a database of its own."""
    return Tokens(database)


def keep(tokens: Tokens, token: str) -> None:
    """Do what a web process does when it starts."""
    BootstrapToken(tokens, SecretStr(token)).keep(threading.Event())


def test_the_token_of_the_settings_is_an_admin_and_stands_in_the_audit_log_once(
    tokens: Tokens, database: Database
) -> None:
    token = new_token()
    keep(tokens, token)
    before = tokens.list()
    keep(tokens, token)
    assert tokens.authenticate(f"Bearer {token}") == Actor(NAME, Role.ADMIN)
    assert tokens.list() == before
    with database.read() as connection:
        row = connection.execute(select(audit_log)).one()
    assert (row.actor, row.action, row.target_id, row.details) == ("bootstrap", "token.create", NAME, {"role": "admin"})


def test_a_revoked_one_stays_revoked_until_the_text_is_another(tokens: Tokens) -> None:
    first, second = new_token(), new_token()
    keep(tokens, first)
    tokens.revoke(NAME, by=ROOT)
    keep(tokens, first)
    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(f"Bearer {first}")
    keep(tokens, second)
    assert tokens.authenticate(f"Bearer {second}").name == NAME
    with pytest.raises(NotAuthenticatedError):
        tokens.authenticate(f"Bearer {first}")


def test_one_that_has_another_name_already_keeps_it(tokens: Tokens) -> None:
    token = tokens.create("ci", Role.ADMIN, by=ROOT)
    keep(tokens, token)
    assert tokens.authenticate(f"Bearer {token}").name == "ci"


def test_many_processes_that_start_together_make_it_once(tokens: Tokens, database: Database) -> None:
    token = new_token()
    threads = [threading.Thread(target=keep, args=(tokens, token)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert len(connection.execute(select(audit_log)).all()) == 1


def test_it_tries_again_until_the_database_answers() -> None:
    class Failing:
        calls = 0

        def keep(self, *_arguments: object) -> bool:
            self.calls += 1
            if self.calls < 3:
                raise DatabaseUnavailableError("away")
            return True

    failing = Failing()
    bootstrap = BootstrapToken(failing, SecretStr(new_token()))  # type: ignore[arg-type]  # all that is called of it
    states = [bootstrap.is_done]
    bootstrap.keep(threading.Event())
    states.append(bootstrap.is_done)
    assert states == [False, True]
    assert failing.calls == 3


def test_until_the_token_is_made_the_process_is_not_ready(sqlite_api: Api) -> None:
    waiting = BootstrapToken(sqlite_api.runtime.tokens, SecretStr(new_token()))
    object.__setattr__(sqlite_api.runtime, "bootstrap_token", waiting)
    answer = sqlite_api.get("/api/health/ready", None)
    assert (answer.status_code, answer.get_json()["status"]) == (503, "not_ready")
    waiting.keep(threading.Event())
    wait_until(lambda: sqlite_api.get("/api/health/ready", None).status_code == 200, what="readiness")


@pytest.mark.process
def test_a_web_process_that_is_ready_takes_the_token_of_its_file(tmp_path: Path, redis_url: str) -> None:
    url, token = f"sqlite:///{tmp_path / 'marketplace.db'}", new_token()
    database = Database(DatabaseSettings(url=SecretStr(url)))
    upgrade(database)
    (tmp_path / "token").write_text(f"{token}\n")
    given = {"MARKETPLACE_WEB__BOOTSTRAP_ADMIN_TOKEN_FILE": str(tmp_path / "token")}
    with running_web(url, redis_url, tmp_path, **given):
        # The answer said "ready", so nothing needs to be waited for any more.
        assert Tokens(database).authenticate(f"Bearer {token}") == Actor(NAME, Role.ADMIN)
    database.close()
