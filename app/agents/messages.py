"""Messages to language models: the prompts of `prompts/`, with the question as data in them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from string import Template

from app.agents.question import Question
from app.domain.plain_text import plain_text

#: Characters of a question's context that are sent; models take less than uploads may hold.
MAX_CONTEXT = 100_000


def messages(question: Question) -> list[dict[str, str]]:
    """Return the messages of a chat: our rules, then the question."""
    return [
        {"role": "system", "content": _prompt("system")},
        {"role": "user", "content": Template(_prompt(question.purpose)).substitute(request=_as_data(question))},
    ]


def _as_data(question: Question) -> str:
    """Return the question as JSON that cannot close the tags it stands between: it has no `<`."""
    data = {
        "purpose": question.purpose,
        "channel": question.channel,
        "title": question.title,
        "context": question.context[:MAX_CONTEXT],
        "plan": None if question.plan is None else question.plan.model_dump(mode="json", by_alias=True),
    }
    return plain_text(json.dumps(data, ensure_ascii=False, indent=1)).replace("<", "\\u003c")


@cache
def _prompt(name: str) -> str:
    return files("app.agents").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
