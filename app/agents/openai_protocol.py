"""The `openai` protocol: chat completions, as hosted models, vLLM, Ollama and many others speak it.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from app.agents.answers import parse_answer, read_json
from app.agents.configuration import AgentConfig
from app.agents.messages import messages
from app.agents.question import Question
from app.domain.errors import BadAnswerError
from app.domain.plain_text import excerpt
from app.domain.plan_reading import PlanReading

_PATH = "/chat/completions"


class _TextPart(BaseModel):
    text: str = ""


class _Message(BaseModel):
    content: str | list[_TextPart] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]


def url_of(config: AgentConfig) -> str:
    """Return where completions are asked for: the configured URL may be the API's root or the call itself."""
    parts = urlsplit(config.url)
    path = parts.path.rstrip("/")
    return parts._replace(path=path if path.endswith(_PATH) else path + _PATH).geturl()


def body_of(config: AgentConfig, question: Question) -> Mapping[str, object]:
    """Return the request as JSON."""
    body: dict[str, object] = {
        "model": config.model,
        "messages": messages(question),
        "response_format": {"type": "json_object"},
    }
    return body if config.temperature is None else body | {"temperature": config.temperature}


def read_answer(body: bytes) -> PlanReading:
    """Return the plan in a completion.

    Raises:
        BadAnswerError: There is none that can be used.
    """
    try:
        choice = _Completion.model_validate(read_json(body)).choices[0]
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the answer"
        raise BadAnswerError(f"the answer is no chat completion: {place}: {problem['msg']}") from None
    content = choice.message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content or ())
    if not text.strip():
        refusal = choice.message.refusal
        raise BadAnswerError(f"the model refused: {excerpt(refusal, 200)}" if refusal else "the model said nothing")
    try:
        return parse_answer(text)
    except BadAnswerError as error:
        if choice.finish_reason == "length":
            raise BadAnswerError("the answer was cut off at the model's limit of tokens") from error
        raise
