"""The golden messages: that each is as committed, test_reference_pages.py checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerting.messages.block_limits import problems_of
from alerting.render.fixtures import example_names
from tests.slack_messages import constructs, marked_up

_FOLDER = Path(__file__).parent / "messages"


def test_every_golden_message_has_its_example() -> None:
    assert sorted(file.stem for file in _FOLDER.iterdir()) == example_names()


@pytest.mark.parametrize("name", example_names())
def test_slack_takes_a_golden_message_and_finds_no_markup_but_mentions(name: str) -> None:
    payload = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert problems_of(payload) == []
    text, *mentions = marked_up(payload)
    assert constructs(text) == []
    assert mentions in ([], ["<!subteam^S0ONCALL>"])
