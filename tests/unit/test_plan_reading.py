from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidInputError
from app.domain.lenient_json import MAX_NOTES
from app.domain.plan import AnalysisPlan, Opportunity, Phase, PlanMetric, Priority
from app.domain.plan_reading import read_plan
from app.domain.strict_json import MAX_DEPTH


def _nested(levels: int) -> object:
    data: object = "bottom"
    for _ in range(levels):
        data = [data]
    return data


def _phase(**fields: object) -> tuple[Phase, tuple[str, ...]]:
    reading = read_plan({"phases": [fields]})
    return reading.plan.phases[0], reading.notes


def _opportunity(**fields: object) -> tuple[Opportunity, tuple[str, ...]]:
    reading = read_plan({"opportunities": [{"title": "Bundles", **fields}]})
    return reading.plan.opportunities[0], reading.notes


def test_a_well_formed_plan_is_read_without_notes() -> None:
    reading = read_plan(
        {
            "summary": "Two quick wins.",
            "channels": ["amazon"],
            "opportunities": [
                {
                    "title": "Bundles",
                    "what": "Sell sets",
                    "why": "Basket value",
                    "how": "Three sets",
                    "priority": "high",
                    "agent": "amazon",
                    "expectedImpact": "+8 %",
                    "metric": "basket value",
                }
            ],
            "phases": [
                {
                    "number": 1,
                    "name": "Start",
                    "weeks": "1-2",
                    "tasks": ["Pick ten products"],
                    "investment": "none",
                    "expectedImpact": "+2 %",
                }
            ],
            "metrics": [{"label": "Basket value", "baseline": "R$ 80", "goal": "R$ 90", "phase": 1}],
        }
    )
    assert reading.notes == ()
    assert reading.plan == AnalysisPlan(
        summary="Two quick wins.",
        channels=("amazon",),
        opportunities=(
            Opportunity(
                title="Bundles",
                what="Sell sets",
                why="Basket value",
                how="Three sets",
                priority=Priority.HIGH,
                agent="amazon",
                expected_impact="+8 %",
                metric="basket value",
            ),
        ),
        phases=(
            Phase(
                number=1,
                name="Start",
                weeks="1-2",
                tasks=("Pick ten products",),
                investment="none",
                expected_impact="+2 %",
            ),
        ),
        metrics=(PlanMetric(label="Basket value", baseline="R$ 80", goal="R$ 90", phase=1),),
    )


def test_an_empty_object_is_an_empty_plan() -> None:
    assert read_plan({}).plan == AnalysisPlan()


@pytest.mark.parametrize("key", ["expectedImpact", "expected_impact", "Expected Impact", "EXPECTED-IMPACT", "impact"])
def test_names_of_fields_are_read_in_any_style(key: str) -> None:
    opportunity, notes = _opportunity(**{key: "+8 %"})
    assert opportunity.expected_impact == "+8 %"
    assert notes == ()


@pytest.mark.parametrize(
    ("written", "number"),
    [("2", 2), (" 2 ", 2), ("Phase 2", 2), ("Fase 2", 2), ("2.0", 2), ("#2 - launch", 2), (2.0, 2)],
)
def test_a_phase_number_is_read_as_it_was_meant(written: object, number: int) -> None:
    phase, notes = _phase(number=written)
    assert phase.number == number
    assert len(notes) == 1
    assert notes[0].startswith("phases.0.number: ")
    assert notes[0].endswith(f" read as {number}")


def test_phases_without_numbers_are_numbered_by_position() -> None:
    reading = read_plan({"phases": [{"name": "a"}, {"name": "b"}]})
    assert [phase.number for phase in reading.plan.phases] == [1, 2]
    assert reading.notes == ("phases.0.number: missing, numbered 1", "phases.1.number: missing, numbered 2")


@pytest.mark.parametrize("number", [0, -1, 101, 10**30, 1.5, True, "first", "", [], {}, "99999999999"])
def test_a_phase_number_that_is_none_is_replaced_by_the_position(number: object) -> None:
    phase, notes = _phase(number=number)
    assert phase.number == 1
    assert notes == ("phases.0.number: not a number from 1 to 100, numbered 1",)


@pytest.mark.parametrize(
    ("written", "priority", "note"),
    [
        ("high", Priority.HIGH, None),
        (" HIGH ", Priority.HIGH, None),
        ("Low", Priority.LOW, None),
        ("alta", Priority.HIGH, '"alta" read as high'),
        ("Alta", Priority.HIGH, '"Alta" read as high'),
        ("media", Priority.MEDIUM, '"media" read as medium'),
        ("média", Priority.MEDIUM, '"média" read as medium'),
        ("me\u0301dia", Priority.MEDIUM, '"me\u0301dia" read as medium'),
        ("baixa", Priority.LOW, '"baixa" read as low'),
        ("urgent", Priority.MEDIUM, '"urgent" is unknown, read as medium'),
        ("", Priority.MEDIUM, None),
        (None, Priority.MEDIUM, None),
    ],
)
def test_priorities_are_read_in_two_languages(written: object, priority: Priority, note: str | None) -> None:
    opportunity, notes = _opportunity(priority=written)
    assert opportunity.priority is priority
    assert notes == (() if note is None else (f"opportunities.0.priority: {note}",))


def test_a_number_as_priority_is_unknown() -> None:
    opportunity, notes = _opportunity(priority=1)
    assert opportunity.priority is Priority.MEDIUM
    assert notes[-1] == 'opportunities.0.priority: "1" is unknown, read as medium'


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        pytest.param(["a", "b"], ("a", "b"), id="texts"),
        pytest.param([" a\t", "", "  ", None, "b"], ("a", "b"), id="empty-ones-dropped"),
        pytest.param("a", ("a",), id="one-text"),
        pytest.param("a\n\nb", ("a", "b"), id="lines"),
        pytest.param(None, (), id="null"),
        pytest.param([], (), id="none"),
        pytest.param([{"title": "a"}], ("a",), id="object-with-title"),
        pytest.param([{"name": "a"}], ("a",), id="object-with-name"),
        pytest.param([{"title": "a", "description": "b"}], ("a: b",), id="object-with-description"),
        pytest.param([{"description": "b"}], ("b",), id="object-with-description-only"),
        pytest.param([{"owner": "b"}], (), id="object-without-text"),
        pytest.param({"title": "a"}, ("a",), id="one-object"),
        pytest.param({"x": {"title": "a"}, "y": {"title": "b"}}, ("a", "b"), id="object-of-objects"),
        pytest.param([1, 2.5, True], ("1", "2.5", "true"), id="numbers"),
        pytest.param([["a", "b"]], ("a\nb",), id="lists"),
    ],
)
def test_tasks_are_read_from_many_shapes(tasks: object, expected: tuple[str, ...]) -> None:
    phase, _ = _phase(number=1, tasks=tasks)
    assert phase.tasks == expected


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param("  a  ", "a", id="trimmed"),
        pytest.param("a\x00b\x1bc\x7f", "abc", id="control-characters"),
        pytest.param("a\ud800b", "ab", id="lone-surrogate"),
        pytest.param("a\r\nb\tc", "a\nb\tc", id="line-breaks-and-tabs-stay"),
        pytest.param("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb", id="joined-emoji-stay"),
        pytest.param(None, "", id="null"),
        pytest.param(4, "4", id="whole-number"),
        pytest.param(4.0, "4", id="whole-float"),
        pytest.param(2.5, "2.5", id="float"),
        pytest.param(True, "true", id="boolean"),
        pytest.param(["a", 1], "a\n1", id="list"),
        pytest.param({"sales": "+8 %", "margin": None}, "sales: +8 %\nmargin:", id="object"),
        pytest.param("x" * 10_001, "x" * 10_000, id="too-long"),
    ],
)
def test_texts_are_read_from_many_shapes(written: object, text: str) -> None:
    assert read_plan({"summary": written}).plan.summary == text


def test_a_title_stands_on_one_line() -> None:
    opportunity, notes = _opportunity(title="Sell\n  bundles")
    assert opportunity.title == "Sell bundles"
    assert notes == ()


@pytest.mark.parametrize(
    ("fields", "title", "source"),
    [
        ({"what": "Sell sets"}, "Sell sets", "what"),
        ({"title": " ", "what": "Sell sets"}, "Sell sets", "what"),
        ({"title": None, "how": "Three sets"}, "Three sets", "how"),
        ({"why": "Basket value", "how": "Three sets"}, "Three sets", "how"),
    ],
)
def test_an_opportunity_without_title_takes_it_from_its_text(fields: dict[str, Any], title: str, source: str) -> None:
    reading = read_plan({"opportunities": [fields]})
    assert reading.plan.opportunities[0].title == title
    assert f"opportunities.0.title: missing, taken from {source}" in reading.notes


def test_the_channel_of_an_opportunity_is_written_like_channels_are() -> None:
    opportunity, _ = _opportunity(agent="TikTok Shop")
    assert opportunity.agent == "tiktok-shop"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        pytest.param({"opportunities": [{}]}, "opportunities.0: no title and no text, dropped", id="empty-opportunity"),
        pytest.param({"opportunities": [7]}, "opportunities.0: neither an object nor a text, dropped", id="number"),
        pytest.param({"opportunities": [None]}, "opportunities.0: neither an object nor a text, dropped", id="null"),
        pytest.param({"opportunities": ["Bundles"]}, "opportunities.0: a text, read as its title", id="text"),
        pytest.param({"phases": None}, "phases: null, read as an empty list", id="null-list"),
        pytest.param({"phases": {"number": 1}}, "phases: an object, read as a list of one", id="object-for-list"),
        pytest.param(
            {"phases": {"one": {"number": 1}}}, "phases: an object of objects, read as a list", id="object-of-objects"
        ),
        pytest.param({"channels": "amazon"}, "channels: a text, each line read as an item", id="text-for-list"),
        pytest.param({"channels": ["x"] * 501}, "channels: 501 items, cut to 500", id="too-many"),
        pytest.param({"metrics": [{"goal": "9"}]}, "metrics.0: no label, dropped", id="metric-without-label"),
        pytest.param(
            {"metrics": [{"label": "a", "phase": "soon"}]},
            "metrics.0.phase: not a number from 1 to 100, dropped",
            id="metric-phase",
        ),
        pytest.param({"summary": "", "x\x00y": 1}, 'plan: field "xy" unknown, dropped', id="unknown-field"),
        pytest.param(
            {"phases": [{"number": 1, "owner": "me"}]}, 'phases.0: field "owner" unknown, dropped', id="unknown-in-part"
        ),
        pytest.param(
            {"opportunities": [{"title": "a", "expectedImpact": "b", "expected_impact": "c"}]},
            'opportunities.0: field "expected_impact" given twice, dropped',
            id="given-twice",
        ),
        pytest.param({"summary": "a\x00"}, "summary: control characters removed", id="control-characters"),
        pytest.param({"summary": 4}, "summary: 4 read as text", id="number-for-text"),
        pytest.param({"summary": "x" * 10_002}, "summary: 10002 characters, cut to 10000", id="too-long"),
        pytest.param(
            {"phases": [{"number": 1, "tasks": [{"title": "a"}]}]},
            "phases.0.tasks.0: an object, read as text",
            id="task-object",
        ),
        pytest.param({"phases": [{"number": 1, "tasks": [" "]}]}, "phases.0.tasks.0: empty, dropped", id="empty-task"),
    ],
)
def test_every_repair_leaves_a_note(data: object, note: str) -> None:
    assert read_plan(data).notes == (note,)


def test_notes_are_bounded_and_the_last_one_counts_the_rest() -> None:
    notes = read_plan({"phases": [{}] * 80}).notes
    assert len(notes) == MAX_NOTES
    assert notes[-1] == "and 31 more repairs"


def test_a_note_repeats_little_of_a_foreign_text() -> None:
    _, notes = _opportunity(priority="x" * 90)
    assert len(notes[0]) < 100


@pytest.mark.parametrize(
    ("data", "field"),
    [
        pytest.param([], "planData", id="list"),
        pytest.param("text", "planData", id="text"),
        pytest.param(None, "planData", id="null"),
        pytest.param({"error": "overloaded"}, "planData", id="nothing-of-a-plan"),
        pytest.param({"phases": 3}, "planData.phases", id="phases-a-number"),
        pytest.param({"opportunities": True}, "planData.opportunities", id="opportunities-a-boolean"),
        pytest.param({"phases": [{"tasks": 5}]}, "planData.phases.0.tasks", id="tasks-a-number"),
        pytest.param({"phases": [{"number": math.nan}]}, "planData.phases.0.number", id="nan"),
        pytest.param({"summary": "", "x": [1, math.inf]}, "planData.x.1", id="infinity-in-an-unknown-field"),
        pytest.param({"summary": 10**400}, "planData.summary", id="enormous-number"),
        pytest.param(
            {"summary": "", "x": _nested(MAX_DEPTH)}, "planData.x" + ".0" * (MAX_DEPTH - 1), id="nested-too-deep"
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data: object, field: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read_plan(data)
    assert refusal.value.field == field


def test_nesting_up_to_the_limit_is_read() -> None:
    assert read_plan({"summary": "", "x": _nested(MAX_DEPTH - 1)}).plan == AnalysisPlan()


def test_the_place_of_an_error_is_in_the_words_of_the_caller() -> None:
    with pytest.raises(InvalidInputError, match=r"^answer\.phases: must be a list$"):
        read_plan({"phases": 3}, place="answer")


_KEYS = st.sampled_from(
    [
        *("summary", "channels", "opportunities", "phases", "metrics", "title", "what", "why", "how", "priority"),
        *("agent", "expectedImpact", "expected_impact", "metric", "number", "name", "weeks", "tasks", "investment"),
        *("label", "baseline", "goal", "phase", "description", "other"),
    ]
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters())
    | st.sampled_from(["alta", "Phase 2", "\ud800", "\x00", " - ", "x" * 11_000]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS | st.text(max_size=5), inner, max_size=6),
    max_leaves=40,
)


@settings(deadline=None)
@given(_JSON | st.dictionaries(_KEYS, _JSON))
def test_any_json_is_read_as_a_plan_or_refused(data: object) -> None:
    try:
        reading = read_plan(data)
    except InvalidInputError:
        return
    written = reading.plan.model_dump(mode="json", by_alias=True)
    assert AnalysisPlan.model_validate(written) == reading.plan
    again = read_plan(written)
    assert again.plan == reading.plan
    assert again.notes == ()
    assert len(reading.notes) <= MAX_NOTES
    assert "\x00" not in "".join(reading.notes)
    "".join(reading.notes).encode()
