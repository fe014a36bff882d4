from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from deploy.local.environment import add_dotenv, settings_part, system_part


def dotenv(directory: Path, text: str) -> Path:
    path = directory / ".env"
    path.write_text(text)
    return path


def test_dotenv_adds_what_the_environment_does_not_set(tmp_path: Path) -> None:
    path = dotenv(tmp_path, "# a comment\nLOG_LEVEL=DEBUG\nexport PORT='9000'\nMARKETPLACE_JOBS__MAX_RETRIES=2\n")
    environment = {"PORT": "8080"}
    add_dotenv(path, environment)
    assert environment == {"PORT": "8080", "LOG_LEVEL": "DEBUG", "MARKETPLACE_JOBS__MAX_RETRIES": "2"}


def test_dotenv_takes_an_empty_value_as_not_set(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    add_dotenv(dotenv(tmp_path, "DATABASE_URL=\nREDIS_URL\n"), environment)
    assert environment == {}


def test_dotenv_leaves_dollar_signs_in_values_alone(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    add_dotenv(dotenv(tmp_path, "REDIS_URL=redis://:pa${HOME}ss@127.0.0.1/0\n"), environment)
    assert environment == {"REDIS_URL": "redis://:pa${HOME}ss@127.0.0.1/0"}


def test_dotenv_refuses_every_unknown_name_at_once_and_shows_no_value(tmp_path: Path) -> None:
    path = dotenv(tmp_path, "MARKETPLACE_WEB__PROT=s3cret\nPATH=s3cret\nPORT_FILE=port.txt\n")
    with pytest.raises(ConfigurationError) as caught:
        add_dotenv(path, {})
    assert [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()] == [
        "MARKETPLACE_WEB__PROT: no such setting",
        "PATH: no such setting",
    ]


def test_dotenv_that_is_not_there_adds_nothing(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    add_dotenv(tmp_path / ".env", environment)
    assert environment == {}


def test_programs_that_are_not_ours_receive_no_setting() -> None:
    environment = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://u:s3cret@h/d",
        "REDIS_URL_FILE": "redis.txt",
        "MARKETPLACE_AGENTS__ITEMS": "[]",
        "MARKETPLACE_TOKEN": "s3cret",
    }
    assert system_part(environment) == {"PATH": "/bin"}


def test_processes_of_ours_receive_the_settings_but_not_the_token_of_the_command() -> None:
    environment = {"PATH": "/bin", "PORT": "8000", "MARKETPLACE_TOKEN": "s3cret", "MARKETPLACE_URL": "https://far"}
    assert settings_part(environment) == {"PORT": "8000"}
