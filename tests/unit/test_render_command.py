from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from alerting.messages.block_limits import problems_of
from alerting.render.command import render
from alerting.render.fixtures import example, example_names
from app.cli.main import marketplace
from app.domain.errors import InvalidInputError

_NOTICE = json.loads(example("job-failed"))
_CARD = json.loads(example("redis-down"))


def _run(*arguments: str, data: str | None = None) -> Result:
    # Click keeps the option for help that a command was first run with, for whoever runs it next in this process.
    settings = marketplace.context_settings
    return CliRunner().invoke(render, arguments, input=data, catch_exceptions=False, **settings)


def test_it_prints_the_json_and_what_a_person_sees() -> None:
    done = _run("circuit-opened")
    assert done.exit_code == 0
    payload, _ = json.JSONDecoder().raw_decode(done.output)
    assert payload["blocks"][0]["type"] == "header"
    assert "⚠️ Warning: The circuit of kaway is open" in done.output.split("╭", 1)[1]


@pytest.mark.parametrize("name", example_names())
def test_every_example_is_a_message_that_slack_takes(name: str) -> None:
    done = _run(name, "--json", "--mention", "here")
    assert done.exit_code == 0
    assert problems_of(json.loads(done.stdout)) == []


def test_the_examples_are_listed() -> None:
    assert {"job-failed", "circuit-opened", "queue-backed-up", "circuit-recovered", "hostile"} <= set(
        _run("--list").output.split()
    )
    assert json.loads(_run("--list", "--json").output) == example_names()


def test_a_file_and_standard_input_will_do(tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    file.write_bytes(example("redis-down"))
    assert _run(str(file), "--json").output == _run("redis-down", "--json").output
    assert _run("-", "--json", data=json.dumps(_CARD)).output == _run("redis-down", "--json").output


def test_each_alert_of_a_request_of_alertmanager_becomes_a_message() -> None:
    alerts = [
        {
            "status": status,
            "labels": {"alertname": "MarketplaceCircuitOpened", "environment": "test", "agent": "kaway"},
            "annotations": {"summary": "The circuit of kaway is open"},
            "startsAt": "2026-11-27T09:00:00Z",
            "endsAt": "2026-11-27T09:02:00Z",
            "fingerprint": "0123456789abcdef",
        }
        for status in ("firing", "resolved")
    ]
    payloads = json.loads(_run("-", "--json", data=json.dumps({"version": "4", "alerts": alerts})).output)
    assert [payload["text"].partition(":")[0] for payload in payloads] == ["Warning", "Recovered"]


def test_a_notice_that_something_ended_becomes_a_recovery() -> None:
    ended = {**_NOTICE, "state": "resolved", "alert": "MarketplaceCircuitOpened", "subject": {"agent": "kaway"}}
    assert "Recovered: The circuit of kaway is closed again" in _run("-", data=json.dumps(ended)).output


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ("{", "FIXTURE", "JSON"),
        ("[]", "FIXTURE", "must be a JSON object"),
        ("{}", "FIXTURE", "must have `kind`"),
        (json.dumps({**_CARD, "severity": "awful"}), "severity", "'critical'"),
        (json.dumps({**_CARD, "started_at": "2026-03-01T12:03:00"}), "started_at", "timezone"),
        (json.dumps({**_CARD, "colour": "red"}), "colour", "not permitted"),
        (json.dumps({**_CARD, "links": {"job": 3}}), "links.job", "string"),
        (json.dumps({**_NOTICE, "alert": "Nobody"}), "alert", "not in the catalogue"),
        (json.dumps({**_NOTICE, "planId": "7"}), "planId", "UUID"),
        (json.dumps({"cards": [{**_CARD, "kind": "news"}], "counts": {}, "since": "now"}), "cards.0.kind", "'firing'"),
    ],
)
def test_a_wrong_fixture_is_refused_with_the_place(data: str, field: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        _run("-", data=data)
    assert refused.value.field == field
    assert message in refused.value.message


def test_a_file_that_is_not_there_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        _run(str(tmp_path / "absent.json"))


def test_what_nobody_can_be_mentioned_by_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="--mention"):
        _run("redis-down", "--mention", "everyone")


def test_without_a_fixture_it_says_what_is_needed() -> None:
    done = _run()
    assert done.exit_code == click.UsageError.exit_code
    assert "--list" in done.output


def test_nothing_in_a_message_steers_the_terminal() -> None:
    assert "\x1b" not in _run("hostile").output
