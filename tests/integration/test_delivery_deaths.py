"""`kill -9` of a process that delivers, at the moments that matter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alerting.messages.forms import REPEAT
from app.settings import RelaySettings
from loadtest.slack_inbox import SlackBehaviour
from loadtest.slack_server import FakeSlack
from tests.delivered import Outbox, card, titles
from tests.servers import wait_until

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.process


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@contextmanager
def _killed(file: Path, slack: FakeSlack) -> Iterator[None]:
    """Yield while a process delivers, and kill it at the end."""
    command = [sys.executable, "-m", "tests.delivery_process", str(file), slack.webhook("alerts")]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"delivering\n"
            yield
        finally:
            process.kill()


def _outbox(tmp_path: Path, slack: FakeSlack) -> Outbox:
    settings = RelaySettings.model_validate(
        {"slack_webhook_url": slack.webhook("alerts"), "messages_per_second": 10.0, "slack_timeout_seconds": 5.0}
    )
    return Outbox(tmp_path / "relay.db", settings)


def test_killed_before_it_knows_that_slack_has_it_a_message_is_sent_again_as_a_possible_repeat(
    tmp_path: Path, slack: FakeSlack
) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"), card("b"))
    slack.inbox.behave(SlackBehaviour("silent"))
    with _killed(outbox.file, slack):
        wait_until(lambda: titles(slack), what="the message")
    assert outbox.states() == ["sending", "waiting"]
    slack.inbox.behave(SlackBehaviour())
    with outbox.delivering():
        outbox.wait_all_sent()
    first, again, other = titles(slack)
    assert again == f"{first}\n{REPEAT}"
    assert REPEAT not in other


def test_killed_with_a_digest_in_flight_it_is_sent_again_as_a_possible_repeat(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.add(*[card(f"issue {number}") for number in range(50)])
    slack.inbox.behave(SlackBehaviour("silent"))
    with _killed(outbox.file, slack):
        wait_until(lambda: titles(slack), what="the digest")
    slack.inbox.behave(SlackBehaviour())
    with outbox.delivering():
        outbox.wait_all_sent()
    assert [REPEAT in text for text in titles(slack)] == [False, True]


def test_killed_while_slack_is_away_everything_is_told_once_afterwards(tmp_path: Path, slack: FakeSlack) -> None:
    outbox = _outbox(tmp_path, slack)
    outbox.add(card("a"))
    with _killed(outbox.file, slack):
        wait_until(outbox.all_sent, what="the first message")
    # One attempt, and then none for a minute: a process that is killed meanwhile leaves no doubt about any message.
    slack.inbox.behave(SlackBehaviour("rate_limited", retry_after_seconds=60))
    for round_ in range(2):
        outbox.add(*[card(f"{round_} {number}") for number in range(4)])
        with _killed(outbox.file, slack):
            wait_until(lambda: all(row["logged"] for row in outbox.rows()[1:]), what="everything in the log")
    assert slack.inbox.calls()["rate_limited"] == 1
    slack.inbox.behave(SlackBehaviour())
    outbox.clock.ahead_seconds = 120
    with outbox.delivering():
        outbox.wait_all_sent()
    assert len(titles(slack)) == outbox.posts() == 2
    assert REPEAT not in "".join(titles(slack))
