import json

import pytest
from pydantic import SecretStr

from app.cli.masking import MASK, masked, masked_url
from app.cli.output import print_fields, print_json, print_json_line, print_table, readable, say

UUID = "0b9c5c0e-7a55-4f3a-9a63-2f1f2b0a1c11"


def test_json_goes_to_standard_output_and_messages_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("3 plans")
    print_json([{"a": 1}])
    out, err = capsys.readouterr()
    assert json.loads(out) == [{"a": 1}]
    assert err == "3 plans\n"


def test_an_empty_list_prints_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([])
    assert capsys.readouterr().out == "[]\n"


def test_a_json_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json_line({"a": "x\ny"})
    assert capsys.readouterr().out.count("\n") == 1


def test_a_table_in_a_pipe_cuts_and_wraps_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Id", "Title", "Job"), [(UUID, "t" * 80, UUID)])
    assert any(line.split() == [UUID, "t" * 80, UUID] for line in capsys.readouterr().out.splitlines())


def test_text_of_others_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Title",), [("[red]sale[/red] \x1b[31mnow\x07",)])
    print_fields([("title", "[bold]x")])
    out = capsys.readouterr().out
    assert "[red]sale[/red] ?[31mnow?" in out
    assert "[bold]x" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_shown_as_a_dash(value: object) -> None:
    assert readable(value) == "-"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@db:5432/market", "postgresql://***@db:5432/market"),
        ("postgresql+psycopg://db/market?password=s3cret", "postgresql+psycopg://db/market"),
        ("redis://s3cret@127.0.0.1:6379/0", "redis://***@127.0.0.1:6379/0"),
        ("rediss://:s3cret@[::1]:6379", "rediss://***@[::1]:6379"),
        ("sqlite:////srv/market.db", "sqlite:////srv/market.db"),
        ("postgresql://u:s3/cret@db/market", MASK),
        ("postgresql://u:s3?cret@db/market", MASK),
        ("postgresql://u:s3#cret@db/market", MASK),
        ("postgresql://u:s3@cret@db/market", MASK),
        ("redis://:s3cret", MASK),
        ("s3cret", MASK),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_secret_that_is_no_url_is_masked_as_a_whole() -> None:
    assert masked(SecretStr('[{"apiKey": "s3cret"}]')) == MASK


def test_a_value_that_is_no_secret_is_shown() -> None:
    assert masked(8000) == 8000
