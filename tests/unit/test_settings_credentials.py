from __future__ import annotations

import pytest

from app.domain.errors import ConfigurationError
from app.settings import DatabaseSettings, load_settings
from app.settings.credentials import with_credentials


@pytest.mark.parametrize(
    ("url", "username", "password", "expected"),
    [
        ("redis://valkey:6379/0", None, "p@s:s/w%?#", "redis://:p%40s%3As%2Fw%25%3F%23@valkey:6379/0"),
        ("rediss://cache.example:6379/1?db=1", "app", "x", "rediss://app:x@cache.example:6379/1?db=1"),
        ("redis://app@valkey", None, "x", "redis://app:x@valkey"),
        ("redis://:x@valkey", "app", None, "redis://app:x@valkey"),
        ("unix:///run/a@b.sock?db=2", None, "x", "unix://:x@/run/a@b.sock?db=2"),
        ("postgresql://market@db.example/market?sslmode=require", None, "x y",
         "postgresql://market:x%20y@db.example/market?sslmode=require"),
        ("postgresql://db.example/market", None, None, "postgresql://db.example/market"),
    ],
)  # fmt: skip
def test_credentials_go_into_a_url_without_them(
    url: str, username: str | None, password: str | None, expected: str
) -> None:
    assert with_credentials(url, username=username, password=password) == expected


@pytest.mark.parametrize(
    ("url", "username", "password", "words"),
    [
        ("redis://:x@valkey", None, "y", "url and password"),
        ("redis://valkey?password=x", None, "y", "url and password"),
        ("redis://app@valkey", "other", "y", "url and username"),
        ("postgresql://market:x@db/market", None, "y", "url and password"),
        ("postgresql://db/market?user=market&password=x", None, "y", "url and password"),
        ("sqlite:///var/marketplace.db", None, "y", "url of a server"),
    ],
)
def test_two_answers_to_one_question_are_refused(url: str, username: str | None, password: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        with_credentials(url, username=username, password=password)


def test_passwords_come_from_the_environment_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://market@db/market")
    monkeypatch.setenv("MARKETPLACE_DATABASE__PASSWORD", "s3cret")
    monkeypatch.setenv("REDIS_URL", "redis://valkey:6379/0")
    monkeypatch.setenv("MARKETPLACE_REDIS__USERNAME", "app")
    monkeypatch.setenv("MARKETPLACE_REDIS__PASSWORD", "s3cret")
    settings = load_settings()
    assert settings.database.full_url.get_secret_value() == "postgresql://market:s3cret@db/market"
    assert settings.redis.full_url.get_secret_value() == "redis://app:s3cret@valkey:6379/0"
    assert "s3cret" not in repr(settings)


def test_a_password_twice_stops_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@valkey:6379/0")
    monkeypatch.setenv("MARKETPLACE_REDIS__PASSWORD", "0ther")
    monkeypatch.setenv("MARKETPLACE_DATABASE__PASSWORD", "")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    found = str(caught.value)
    assert "MARKETPLACE_REDIS: Value error, url and password" in found
    assert "MARKETPLACE_DATABASE__PASSWORD: " in found
    assert "s3cret" not in found
    assert "0ther" not in found


def test_a_bootstrap_token_has_the_form_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPLACE_WEB__BOOTSTRAP_ADMIN_TOKEN", "mp_" + "s" * 42)
    with pytest.raises(ConfigurationError, match=r"BOOTSTRAP_ADMIN_TOKEN: .*must be mp_ and 32"):
        load_settings()
    monkeypatch.setenv("MARKETPLACE_WEB__BOOTSTRAP_ADMIN_TOKEN", "mp_" + "s" * 43)
    assert load_settings().web.bootstrap_admin_token is not None


def test_a_file_has_no_password() -> None:
    with pytest.raises(ValueError, match="url of a server"):
        DatabaseSettings.model_validate({"password": "x"})
