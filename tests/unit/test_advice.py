from __future__ import annotations

import re
import string
from datetime import timedelta

import pytest

from alerting.messages.advice import ADVICE, advice_on
from alerting.messages.block_limits import MOST_HEADER
from alerting.messages.cards import Card, MessageKind, make_card
from alerting.signals import CATALOGUE, Path, Signal
from app.domain.alerts import CIRCUIT_OPENED, DEAD_LETTERS_GROWING, Alert, AlertType, Severity
from deploy.artifacts.cli_page import cli_page
from tests.slack_messages import NOW


def _signal(alert: Alert, **values: object) -> Signal:
    return Signal(
        **{  # type: ignore[arg-type]
            "path": Path.PIPELINE,
            "id": "1",
            "fingerprint": "1",
            "alert": alert.name,
            "type": alert.type,
            "severity": alert.severity,
            "firing": True,
            "at": NOW,
            "environment": "test",
            "subject": {label: f"a-{label}" for label in alert.subject},
            "summary": "It happened",
            **values,
        }
    )


def _made(alert: Alert, kind: MessageKind = MessageKind.FIRING, **values: object) -> Card:
    return make_card(_signal(alert, **values), kind, severity=alert.severity, started_at=NOW - timedelta(minutes=2))


def test_every_alert_of_the_catalogue_has_an_advice_and_no_other() -> None:
    assert set(ADVICE) == set(CATALOGUE)


@pytest.mark.parametrize("alert", CATALOGUE.values(), ids=CATALOGUE)
def test_the_sentences_are_short_and_whole(alert: Alert) -> None:
    advice = ADVICE[alert.name]
    for sentences in (advice.action, advice.advice, advice.after):
        assert 5 < len(sentences) <= 220
        assert sentences[0].isupper()
    title = _made(alert, MessageKind.RECOVERY).title
    assert len(title) <= MOST_HEADER - len("✅ Recovered: ")
    assert "unknown" not in title


@pytest.mark.parametrize("alert", CATALOGUE.values(), ids=CATALOGUE)
def test_a_recovery_names_what_has_recovered(alert: Alert) -> None:
    named = {name for _, name, _, _ in string.Formatter().parse(ADVICE[alert.name].recovered) if name}
    assert named <= {*alert.subject, "span"}
    assert named - {"span"} or not set(alert.subject) - {"slo"}


def test_every_command_that_is_advised_exists() -> None:
    page = cli_page()
    commands = sorted(re.findall(r"^## marketplace (.+)$", page, re.MULTILINE))
    groups = {command.split()[0] for command in commands if " " in command}
    said = " ".join(f"{one.action} {one.advice} {one.after}" for one in ADVICE.values())
    advised = [re.match(r"[a-z-]+(?: [a-z]+)?", rest) for rest in said.split("marketplace ")[1:]]
    assert advised
    for match in advised:
        assert match is not None
        name = match[0] if match[0].split()[0] in groups else match[0].split()[0]
        assert name in commands
    assert all(option in page for option in re.findall(r"--[a-z-]+", said))


def test_what_the_catalogue_says_stands_on_the_card() -> None:
    card = _made(CIRCUIT_OPENED)
    assert card.action.startswith("The agent is not called")
    assert card.advice.startswith("Mend the agent")
    assert card.ended_at is None


def test_what_the_signal_says_of_itself_wins() -> None:
    assert _made(CIRCUIT_OPENED, action="Opened by anna.").action == "Opened by anna."


def test_a_recovery_has_a_title_of_its_own() -> None:
    card = _made(CIRCUIT_OPENED, MessageKind.RECOVERY, subject={"agent": "kaway"})
    assert card.title == "The circuit of kaway is closed again after 2 min"
    assert (card.type, card.ended_at) == (AlertType.RECOVERY_SUCCESS, NOW)


def test_a_recovery_does_not_repeat_how_it_began() -> None:
    begun = _made(CIRCUIT_OPENED, MessageKind.RECOVERY, error="refused", error_code="network", action="Opened.")
    assert (begun.error, begun.error_code, begun.action) == (None, None, "")
    ended = _made(CIRCUIT_OPENED, MessageKind.RECOVERY, firing=False, action="Closed by two probes.")
    assert ended.action == "Closed by two probes."


def test_dead_letters_that_came_are_still_there_after_the_recovery() -> None:
    card = _made(DEAD_LETTERS_GROWING, MessageKind.RECOVERY, subject={"kind": "phase1", "error_class": "permanent"})
    assert card.title == "No new dead letters of phase1 jobs (permanent); those that came wait for a decision"
    assert card.advice.startswith("Decide on the letters")


def test_an_alert_that_is_not_ours_is_told_of_as_it_is() -> None:
    theirs = Alert("NodeDiskFull", AlertType.MONITORING, Severity.INFO, subject=("device",))
    assert _made(theirs).action == ""
    assert _made(theirs, MessageKind.RECOVERY, summary="Disk {full} {0}").title == "Over after 2 min: Disk {full} {0}"


@pytest.mark.parametrize("value", ["{span.__class__}", "{0}", "{", "<!channel>"])
def test_a_label_is_never_read_as_a_template(value: str) -> None:
    card = _made(CIRCUIT_OPENED, MessageKind.RECOVERY, subject={"agent": value})
    assert card.title == f"The circuit of {value} is closed again after 2 min"


def test_a_label_that_is_missing_is_told_by_its_name() -> None:
    assert advice_on("MarketplaceCircuitOpened", "").recovery_title({}, timedelta(seconds=8)) == (
        "The circuit of unknown agent is closed again after 8 s"
    )


def test_what_json_and_sqlite_refuse_is_not_kept() -> None:
    hostile = "a\ud800\x00b"
    card = _made(
        DEAD_LETTERS_GROWING,
        subject={"kind": hostile},
        summary=hostile,
        description=hostile,
        agent=hostile,
        error=hostile * 100_000,
        error_code=hostile,
        action=hostile,
        environment=hostile,
    )
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert card.title == "ab"
    assert len(card.model_dump_json()) < 10_000
