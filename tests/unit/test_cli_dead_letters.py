from __future__ import annotations

import pytest
from click.testing import CliRunner

from app.cli.exit_codes import ExitCode
from app.cli.main import marketplace

LETTER = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"],
        ["retry", LETTER, "--all"],
        ["retry", LETTER, "--kind", "phase1"],
        ["retry", "--kind", "phase1", "--all"],
        ["retry", "--all", "--limit", "1001"],
        ["retry", "--all", "--rate", "0"],
        ["retry", "--error-class", "odd"],
        ["retry", "latest"],
        ["discard", LETTER],
        ["discard", "--reason", "a test"],
        ["export", "--json"],
        ["export", "--format", "xml"],
        ["list", "--status", "lost"],
    ],
    ids=" ".join,
)
def test_what_is_not_clear_is_a_usage_error(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.dead_letters.connect", lambda: pytest.fail("the stack was asked"))
    # From the root: click keeps the help option of a command as it was first asked for, and a group alone has no -h.
    result = CliRunner().invoke(marketplace, ["dead-letters", *arguments])
    assert result.exit_code == ExitCode.USAGE
