"""The `http` protocol, our own: `docs/reference/agent-protocol.md`."""

from __future__ import annotations

from collections.abc import Mapping

from app.agents.answers import read_json
from app.agents.configuration import AgentConfig
from app.agents.question import Question
from app.domain.errors import BadAnswerError, InvalidInputError
from app.domain.plan_reading import PlanReading, read_plan


def url_of(config: AgentConfig) -> str:
    """Return where questions are sent: the configured URL."""
    return config.url


def body_of(_config: AgentConfig, question: Question) -> Mapping[str, object]:
    """Return the request as JSON."""
    return {
        "purpose": question.purpose,
        "channel": question.channel,
        "title": question.title,
        "context": question.context,
        "plan": None if question.plan is None else question.plan.model_dump(mode="json", by_alias=True),
    }


def read_answer(body: bytes) -> PlanReading:
    """Return the plan in an answer.

    Raises:
        BadAnswerError: There is none that can be used.
    """
    answer = read_json(body)
    if not isinstance(answer, dict) or not answer.get("plan"):
        raise BadAnswerError("the answer is not an object with a plan")
    try:
        return read_plan(answer["plan"], place="answer.plan")
    except InvalidInputError as error:
        raise BadAnswerError(f"the answer is no plan: {error}") from error
