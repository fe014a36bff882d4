import json
import subprocess
import sys
from importlib.metadata import entry_points

import click
import pytest
from click.testing import CliRunner

from app.cli import main as cli_main
from app.cli.exit_codes import ExitCode, exit_code_of
from app.domain import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MarketplaceError("x"), ExitCode.FAILED),
        (errors.ConflictError("x"), ExitCode.FAILED),
        (errors.RemoteServerError("x"), ExitCode.FAILED),
        (errors.RateLimitedError("x"), ExitCode.FAILED),
        (errors.ConfigurationError("x"), ExitCode.USAGE),
        (errors.InvalidInputError("title", "x"), ExitCode.USAGE),
        (errors.NotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.NotAllowedError("x"), ExitCode.NOT_ALLOWED),
        (errors.RemoteAuthError("x"), ExitCode.NOT_ALLOWED),
        (errors.NetworkError("x"), ExitCode.UNREACHABLE),
        (errors.DeadlineExceededError("x"), ExitCode.UNREACHABLE),
        (errors.DatabaseUnavailableError("x"), ExitCode.UNREACHABLE),
        (errors.RedisUnavailableError("x"), ExitCode.UNREACHABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name.lower(),
)
def test_each_error_has_its_exit_code(error: errors.MarketplaceError, code: ExitCode) -> None:
    assert exit_code_of(error) == code


def test_the_exit_codes_are_those_that_scripts_rely_on() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "NOT_ALLOWED": 4,
        "UNREACHABLE": 5,
        "CHECK_FAILED": 6,
        "INTERRUPTED": 130,
    }


def command_that(does: object) -> click.Command:
    def body() -> object:
        if isinstance(does, BaseException):
            raise does
        return does

    return click.Command("it", callback=body)


@pytest.mark.parametrize(
    ("does", "code", "message"),
    [
        (None, 0, ""),
        (errors.NotFoundError("no plan 7"), 3, "error: no plan 7\n"),
        (click.FileError("plan.json", "no such file"), 1, "Error: Could not open file 'plan.json': no such file\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.exceptions.Exit(6), 6, ""),
    ],
    ids=["nothing", "our_error", "click_error", "ctrl_c", "exit"],
)
def test_main_ends_with_the_exit_code_and_the_message_on_standard_error(
    does: object, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_main.marketplace, "get_command", lambda *_: command_that(does))
    with pytest.raises(SystemExit) as ended:
        cli_main.main(["it"])
    assert ended.value.code == code
    assert capsys.readouterr() == ("", message)


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli_main.main(["nonsense"])
    assert ended.value.code == ExitCode.USAGE
    assert "No such command 'nonsense'" in capsys.readouterr().err


def test_help_lists_every_command_there_is() -> None:
    listed = {name for section in cli_main.SUMMARIES.values() for name in section}
    assert listed == {point.name for point in entry_points(group=cli_main.ENTRY_POINT_GROUP)}
    text = CliRunner().invoke(cli_main.marketplace, ["--help"]).output
    assert all(f"\n  {name} " in text for name in listed)


def test_help_imports_no_command() -> None:
    code = (
        "import json, sys; from app.cli.main import marketplace;"
        "marketplace.main(['--help'], standalone_mode=False);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=20).stdout
    loaded = set(json.loads(output.splitlines()[-1]))
    commands = {point.module for point in entry_points(group=cli_main.ENTRY_POINT_GROUP)}
    assert not loaded & {*commands, "pydantic", "sqlalchemy", "requests", "rich", "redis"}


@pytest.mark.parametrize("name", [name for section in cli_main.SUMMARIES.values() for name in section])
def test_every_command_can_be_asked_for_help(name: str) -> None:
    result = CliRunner().invoke(cli_main.marketplace, [name, "--help"])
    assert (result.exit_code, result.exception) == (0, None)
    assert "Usage:" in result.output
