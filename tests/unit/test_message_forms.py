from __future__ import annotations

from alerting.messages.forms import REPEAT, first_line, marked_as_repeat, plain
from loadtest.slack_limits import refusal
from tests.delivered import card

_BLOCK = {"type": "divider"}


def test_a_plain_text_is_never_empty_nor_too_long() -> None:
    for text in ("", "x" * 100_000):
        assert refusal(plain({"text": text, "blocks": [{"type": "nonsense"}]}, card("a"))) is None


def test_the_reply_to_a_message_that_is_edited_is_one_line_without_markup() -> None:
    reply = first_line({"text": "Recovered: *kaway*\nAgent kaway", "blocks": [_BLOCK]}, card("a"))
    assert reply == {"text": "Recovered: *kaway*", "mrkdwn": False}


def test_a_repeat_says_so_in_its_text_and_in_its_blocks() -> None:
    payload = {"text": "down", "blocks": [_BLOCK]}
    marked = marked_as_repeat(payload)
    assert marked["text"] == f"down\n{REPEAT}"
    assert marked["blocks"][0] == _BLOCK
    assert REPEAT in str(marked["blocks"][1])
    assert refusal(marked) is None
    assert payload == {"text": "down", "blocks": [_BLOCK]}


def test_a_note_never_takes_a_message_over_the_limit() -> None:
    assert refusal(marked_as_repeat({"text": "down", "blocks": [_BLOCK] * 50})) is None


def test_a_text_without_blocks_gets_none() -> None:
    assert marked_as_repeat({"text": "down"})["blocks"] == []
