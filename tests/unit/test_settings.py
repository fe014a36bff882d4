from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.domain.errors import ConfigurationError
from app.settings import JobSettings, load_settings, origin_of


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MARKETPLACE_") or name.removesuffix("_FILE") in {"DATABASE_URL", "REDIS_URL"}:
            monkeypatch.delenv(name)


def problems() -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value).splitlines()


def test_our_own_name_wins_over_the_one_that_everybody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load_settings().web.port == 9000
    assert origin_of("web.port") == "PORT"
    monkeypatch.setenv("MARKETPLACE_WEB__PORT", "9001")
    assert load_settings().web.port == 9001
    assert origin_of("web.port") == "MARKETPLACE_WEB__PORT"


@pytest.mark.parametrize("name", ["MARKETPLACE_REDIS__URL_FILE", "REDIS_URL_FILE"])
def test_a_secret_may_come_from_a_file(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("rediss://:s3cret@host:6379/0\n")
    monkeypatch.setenv(name, str(tmp_path / "secret"))
    settings = load_settings()
    assert settings.redis.url.get_secret_value() == "rediss://:s3cret@host:6379/0"
    assert "s3cret" not in repr(settings)
    assert origin_of("redis.url") == name


def test_a_file_that_cannot_be_read_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARKETPLACE_REDIS__URL_FILE", str(tmp_path / "missing"))
    assert problems() == ["MARKETPLACE_REDIS__URL_FILE: the file cannot be read (FileNotFoundError)"]


def test_retry_delays_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPLACE_JOBS__RETRY_DELAYS_SECONDS", "0.5, 2,10")
    assert load_settings().jobs.retry_delays_seconds == (0.5, 2.0, 10.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MARKETPLACE_DATABASE__URL", "mysql://root:s3cret@host/db"),
        ("MARKETPLACE_REDIS__URL", "http://:s3cret@host"),
        ("MARKETPLACE_REDIS__POOL_MAX_CONNECTIONS", "51"),
        ("MARKETPLACE_JOBS__LEASE_SECONDS", "6"),
        ("MARKETPLACE_JOBS__RETRY_DELAYS_SECONDS", "soon"),
        ("MARKETPLACE_LOG__LEVEL", "LOUD"),
        ("MARKETPLACE_JOBS", '{"lease_seconds": "s3cret"}'),
        ("MARKETPLACE_JOBS", "s3cret"),
        ("marketplace_web__prot", "8000"),
    ],
)
def test_a_value_that_cannot_be_is_named_and_not_shown(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    found = problems()
    assert any(name.upper().rpartition("__")[2] in problem.upper() for problem in found)
    assert value not in "".join(found)
    assert "s3cret" not in "".join(found)


def test_a_lease_must_outlive_two_heartbeats() -> None:
    with pytest.raises(ValidationError, match="more than twice beat_seconds"):
        JobSettings(lease_seconds=5, beat_seconds=3)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().web.port = 1  # type: ignore[misc]  # what is shown here
