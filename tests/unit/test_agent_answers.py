from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agents import answers
from app.agents.answers import parse_answer
from app.agents.http_protocol import read_answer as read_http_answer
from app.agents.openai_protocol import read_answer as read_completion
from app.domain.errors import BadAnswerError

_PLAN = '{"summary": "Sell sets", "phases": [{"number": 1, "tasks": ["List the pairs"]}]}'


def _completion(content: object, **choice: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}, **choice}]}).encode()


@pytest.mark.parametrize("before", ["", '{"phases": [{"name": "Draft", "tasks": ["x"]}]} '])
def test_a_long_answer_whose_every_brace_stays_open_is_read_once_and_not_twenty_times(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[object, int]:
            tried.append(idx)
            return super().raw_decode(s, idx)

    monkeypatch.setattr(answers, "_DECODER", Counting())
    text = before + '{"a":' * 20 + "[" + "1," * 300_000
    if before:
        assert parse_answer(text).plan.phases[0].tasks == ("x",)
    else:
        with pytest.raises(BadAnswerError, match="too long"):
            parse_answer(text)
    assert len(tried) == (2 if before else 1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_PLAN, id="bare"),
        pytest.param(f"\ufeff\n {_PLAN} \n", id="byte-order-mark-and-space"),
        pytest.param(f"```json\n{_PLAN}\n```", id="fence"),
        pytest.param(f"Here is {{the plan}}:\n{_PLAN}\nAnything {{else}}?", id="prose-with-braces"),
        pytest.param(f'{{"plan": {_PLAN}}}', id="wrapped"),
        pytest.param(f'Result: {{"result": {{"plan": {_PLAN}}}, "ok": true}}', id="wrapped-twice-in-prose"),
        pytest.param(f"[{_PLAN}]", id="in-a-list"),
        pytest.param(f'Like {{"phases": []}}, but for you: {_PLAN}', id="example-before"),
        pytest.param(f'<think>{{"phases": [}}</think>{_PLAN}', id="broken-draft-before"),
        pytest.param(_PLAN.replace('"summary"', '"summary": "Draft", "summary"'), id="duplicate-key"),
    ],
)
def test_the_plan_is_found_in_what_stands_around_it(text: str) -> None:
    plan = parse_answer(text).plan
    assert plan.summary == "Sell sets"
    assert plan.phases[0].tasks == ("List the pairs",)


def test_a_plan_with_empty_lists_is_an_answer() -> None:
    assert parse_answer('{"opportunities": [], "phases": []}').notes == ()


def test_a_summary_alone_is_an_answer() -> None:
    assert parse_answer('{"summary": "Nothing to do"}').plan.summary == "Nothing to do"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param("I am sorry.", "not JSON", id="prose"),
        pytest.param(_PLAN[:-10], "not JSON", id="truncated"),
        pytest.param("{}", "is empty", id="empty-object"),
        pytest.param("[]", "is empty", id="empty-list"),
        pytest.param("null", "is empty", id="null"),
        pytest.param('"text"', "must be an object", id="text"),
        pytest.param('{"error": "overloaded"}', "none of the fields", id="wrong-schema"),
        pytest.param('{"phases": 3}', r"answer\.phases: must be a list", id="phases-a-number"),
        pytest.param('{"phases": [NaN]}', "NaN", id="nan"),
        pytest.param('{"phases": [-Infinity]}', "-Infinity", id="infinity"),
        pytest.param('{"phases": [1e999]}', "too large", id="overflow"),
        pytest.param('{"phases": [' + "9" * 5000 + "]}", "not JSON", id="enormous-number"),
        pytest.param('{"phases": ' + "[" * 100 + "]" * 100 + "}", "nested deeper", id="nested-deeply"),
        pytest.param('{"phases": ' + "[" * 100_000, "nested too deeply", id="nested-without-end"),
        pytest.param("{" * 500_000, "not JSON", id="braces-without-end"),
        pytest.param('{"phases": "' * 100_000, "not JSON", id="beginnings-without-end"),
    ],
)
def test_what_cannot_be_used_is_a_bad_answer(text: str, problem: str) -> None:
    with pytest.raises(BadAnswerError, match=problem):
        parse_answer(text)


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from('{}[]",:\\ ephass10NI')))
def test_any_text_is_a_plan_or_a_bad_answer(text: str) -> None:
    try:
        parse_answer(text)
    except BadAnswerError as error:
        str(error).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_PLAN, id="text"),
        pytest.param([{"type": "text", "text": _PLAN[:20]}, {"type": "text", "text": _PLAN[20:]}], id="parts"),
        pytest.param([{"type": "image"}, {"type": "text", "text": _PLAN}], id="other-parts"),
    ],
)
def test_a_completion_is_read(content: object) -> None:
    assert read_completion(_completion(content)).plan.summary == "Sell sets"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff\xfe\xfd", "not JSON", id="not-utf8"),
        pytest.param(b"<html>502</html>", "not JSON", id="html"),
        pytest.param(b"[]", "no chat completion", id="list"),
        pytest.param(b"{}", "choices: Field required", id="no-choices"),
        pytest.param(b'{"choices": []}', "choices: ", id="empty-choices"),
        pytest.param(b'{"choices": [{"text": "x"}]}', r"choices\.0\.message: Field required", id="no-message"),
        pytest.param(_completion(None), "the model said nothing", id="null-content"),
        pytest.param(_completion(" "), "the model said nothing", id="blank-content"),
        pytest.param(_completion([]), "the model said nothing", id="no-parts"),
        pytest.param(_completion(_PLAN[:-10]), "not JSON", id="truncated"),
        pytest.param(_completion(_PLAN[:-10], finish_reason="length"), "limit of tokens", id="token-limit"),
        pytest.param(b'{"choices": ' + b"[" * 100_000, "nested too deeply", id="nested-without-end"),
        pytest.param(
            b'{"choices": [{"message": {"content": null, "refusal": "I can\\nnot"}}]}',
            "the model refused: I can not",
            id="refusal",
        ),
    ],
)
def test_what_is_no_usable_completion_is_a_bad_answer(body: bytes, problem: str) -> None:
    with pytest.raises(BadAnswerError, match=problem):
        read_completion(body)


def test_an_http_answer_is_read() -> None:
    assert read_http_answer(b'{"plan": ' + _PLAN.encode() + b"}").plan.summary == "Sell sets"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"nope", "not JSON", id="no-json"),
        pytest.param(b"[]", "not an object with a plan", id="list"),
        pytest.param(b"{}", "not an object with a plan", id="no-plan"),
        pytest.param(b'{"plan": {}}', "not an object with a plan", id="empty-plan"),
        pytest.param(b'{"plan": [1]}', r"answer\.plan: must be an object", id="plan-a-list"),
        pytest.param(b'{"plan": {"phases": 3}}', r"answer\.plan\.phases: must be a list", id="phases-a-number"),
    ],
)
def test_what_is_no_usable_http_answer_is_a_bad_answer(body: bytes, problem: str) -> None:
    with pytest.raises(BadAnswerError, match=problem):
        read_http_answer(body)
