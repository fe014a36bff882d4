"""The golden messages: each example of alerting/render/examples as Slack would get it, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from alerting.messages.advice import ADVICE
from alerting.render.fixtures import example, example_names, fixture_payloads
from alerting.render.view import message_picture
from app.domain.alerts import ALERTS, MONITORING_BLIND
from deploy.artifacts.markdown import code, page, table

#: Who is mentioned in the critical ones.
MENTIONS = ("S0ONCALL",)

_SHOWN = ("job-failed", "circuit-recovered", "redis-down", "digest", "hostile")

_INTRODUCTION = """\
What a message of the relay says, and in which order:

1. A heading: how bad it is, as a word (`Critical`, `Warning`, `Info`, `Recovered`), and what happened.
   The sign before it only repeats the word; a message has no coloured bar, for colour alone tells some people nothing.
2. Who is mentioned: only if it is critical and goes on, from `MARKETPLACE_RELAY__MENTIONS`.
3. Environment, type, since when; a recovery says from when to when, and for how long.
4. Plan, job, agent, error code, and the labels that tell this issue from others.
5. The description, the error as it came, what the system did by itself, and what a person should do.
6. `+17 suppressed since 11:41 UTC`: it came so often without a message of its own.
7. Buttons to the runbook, the dashboard, the job and the silence; one without an address is left out.

The silence is a page of the relay that shows the labels and asks for how long: 1 h, 4 h or 24 h.
Its link is signed, works once and for a day; looking at it, as programs do that draw previews, changes nothing.
Then Alertmanager tells nobody of alerts with exactly these labels.

When more messages wait than may be sent one by one, a digest lists the issues, the worst first, and counts the rest.
The text of notifications, and of programs that show no blocks, says the same in a few lines.

Everything that comes from agents, plans or labels is [shown as text](../decisions/untrusted-text-in-slack.md).
A long text ends with `…`; the job page and the dead letter have the whole of it.

`marketplace relay render NAME` prints any of the examples, `--list` names them, and a file of yours will do as well.
Their JSON is in `tests/artifacts/messages`; `make artifacts` writes it anew."""


def golden(name: str) -> str:
    """Return the JSON of one example."""
    return json.dumps(_payload(name), indent=2) + "\n"


def messages_page() -> str:
    """Return docs/reference/messages.md."""
    pictures = []
    for name in _SHOWN:
        picture = message_picture(_payload(name))
        # Four marks: the hostile one has three in its text.
        pictures.append(f"### {name}\n\n````text\n{picture}\n````")
    return page(
        "Messages",
        _INTRODUCTION,
        "## Examples",
        *pictures,
        "## What is said of each alert",
        "A notice of the pipeline that tells what was done in its case says that instead of *the system did*.",
        table(
            ["Alert", "The system did", "What to do", "Recovery", "Left to do then"],
            [
                [
                    code(alert.name),
                    ADVICE[alert.name].action,
                    ADVICE[alert.name].advice,
                    ADVICE[alert.name].recovered,
                    ADVICE[alert.name].after,
                ]
                for alert in (*ALERTS, MONITORING_BLIND)
            ],
        ),
    )


MESSAGE_FILES: Mapping[str, Callable[[], str]] = {
    f"tests/artifacts/messages/{name}.json": partial(golden, name) for name in example_names()
}


def _payload(name: str) -> dict[str, Any]:
    (payload,) = fixture_payloads(example(name), mentions=MENTIONS)
    return payload
