"""`marketplace config` and `marketplace db` as processes, with an environment of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKETPLACE = str(Path(sys.executable).with_name("marketplace"))


def marketplace(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    inherited = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    environment = {name: os.environ[name] for name in inherited if name in os.environ}
    return subprocess.run(
        [MARKETPLACE, *arguments],
        env=environment | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_config_show_tells_each_value_and_where_it_comes_from(tmp_path: Path) -> None:
    secret = tmp_path / "redis-url"
    secret.write_text("redis://:s3cret@cache:6379/0\n")
    result = marketplace(
        "config", "show", "--json", PORT="9000", MARKETPLACE_JOBS__MAX_RETRIES="2", REDIS_URL_FILE=str(secret)
    )
    assert result.returncode == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["MARKETPLACE_WEB__PORT"] == {"name": "MARKETPLACE_WEB__PORT", "value": 9000, "origin": "PORT"}
    assert rows["MARKETPLACE_JOBS__MAX_RETRIES"]["origin"] == "MARKETPLACE_JOBS__MAX_RETRIES"
    assert rows["MARKETPLACE_REDIS__URL"]["value"] == "redis://***@cache:6379/0"
    assert rows["MARKETPLACE_REDIS__URL"]["origin"] == "REDIS_URL_FILE"
    assert rows["MARKETPLACE_LOG__LEVEL"] == {"name": "MARKETPLACE_LOG__LEVEL", "value": "INFO", "origin": "default"}


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["table", "json"])
def test_config_show_never_prints_a_secret(arguments: tuple[str, ...]) -> None:
    result = marketplace(
        "config",
        "show",
        *arguments,
        DATABASE_URL="postgresql://u:s3cret@db/market?sslpassword=s3cret",
        REDIS_URL="redis://:s3cret@cache",
        MARKETPLACE_AGENTS__ITEMS='[{"api_key": "s3cret"}]',
    )
    assert result.returncode == 0
    assert "postgresql://***@db/market" in result.stdout
    assert "s3cret" not in result.stdout + result.stderr


BROKEN = {
    "MARKETPLACE_WEB__PROT": "s3cret",
    "PORT": "s3cret",
    "DATABASE_URL": "mysql://u:s3cret@db/market",
    "MARKETPLACE_JOBS__LEASE_SECONDS": "-1",
}


def test_config_validate_reports_every_problem_at_once_and_no_value() -> None:
    result = marketplace("config", "validate", "--json", **BROKEN)
    assert result.returncode == 6
    answer = json.loads(result.stdout)
    assert answer["valid"] is False
    assert [problem.split(":")[0] for problem in answer["problems"]] == [
        "MARKETPLACE_DATABASE__URL",
        "MARKETPLACE_JOBS__LEASE_SECONDS",
        "MARKETPLACE_WEB__PORT",
        "MARKETPLACE_WEB__PROT",
    ]
    assert "s3cret" not in result.stdout + result.stderr


def test_config_validate_accepts_the_defaults() -> None:
    result = marketplace("config", "validate", "--json")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"valid": True, "problems": []})


def test_a_command_that_needs_broken_settings_names_the_problems_as_usage_error() -> None:
    result = marketplace("config", "show", **BROKEN)
    assert result.returncode == 2
    assert "MARKETPLACE_WEB__PROT: no such setting" in result.stderr
    assert (result.stdout, "s3cret" in result.stderr) == ("", False)


def test_db_upgrade_brings_an_empty_database_to_the_newest_schema(empty_database_url: str) -> None:
    before = marketplace("db", "status", "--json", DATABASE_URL=empty_database_url)
    assert before.returncode == 6
    assert json.loads(before.stdout)["current"] is None
    upgraded = marketplace("db", "upgrade", "--json", DATABASE_URL=empty_database_url)
    after = marketplace("db", "status", "--json", DATABASE_URL=empty_database_url)
    assert (upgraded.returncode, after.returncode) == (0, 0)
    assert json.loads(after.stdout)["current"] == json.loads(upgraded.stdout)["to"]


def test_db_says_that_a_database_cannot_be_reached() -> None:
    result = marketplace("db", "status", DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/market")
    assert result.returncode == 5
    assert result.stderr.startswith("error: postgresql: ")
    assert "s3cret" not in result.stderr


def test_db_upgrade_waits_for_a_server_and_gives_up_in_time() -> None:
    result = marketplace(
        "db", "upgrade", "--wait-seconds", "0.5", DATABASE_URL="postgresql://u:s3cret@127.0.0.1:1/market"
    )
    assert result.returncode == 5
    waiting, failed = result.stderr.splitlines()[0], result.stderr.splitlines()[-1]
    assert waiting.startswith("waiting for the database, ")
    assert failed.startswith("error: postgresql: ")
    assert "s3cret" not in result.stderr
