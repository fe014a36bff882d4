"""Reading of plans: lenient where language models are careless, strict in what comes out.

The rules, as people see them: `docs/reference/plan.md`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.channels import channel_name
from app.domain.errors import InvalidInputError
from app.domain.lenient_json import Fields, Notes, check_json, quoted, read_text, squeezed
from app.domain.plan import (
    MAX_ITEMS,
    MAX_LINE,
    MAX_NAME,
    MAX_PHASES,
    MAX_TEXT,
    AnalysisPlan,
    Opportunity,
    Phase,
    PlanMetric,
    PlanPart,
    Priority,
)


@dataclass(frozen=True)
class PlanReading:
    """A plan, and what had to be repaired to read it: short notes, at most `MAX_NOTES`."""

    plan: AnalysisPlan
    notes: tuple[str, ...]


_PRIORITIES = {
    "high": Priority.HIGH,
    "alta": Priority.HIGH,
    "alto": Priority.HIGH,
    "medium": Priority.MEDIUM,
    "media": Priority.MEDIUM,
    "medio": Priority.MEDIUM,
    "low": Priority.LOW,
    "baixa": Priority.LOW,
    "baixo": Priority.LOW,
}


def _names(part: type[PlanPart], **others: str) -> dict[str, str]:
    """Return the fields of a part by squeezed name, with the other names that models like to use."""
    return {squeezed(field): field for field in part.model_fields} | others


_PLAN = _names(AnalysisPlan)
_OPPORTUNITY = _names(Opportunity, name="title", channel="agent", impact="expected_impact")
_PHASE = _names(Phase, title="name", phase="number", impact="expected_impact")
_METRIC = _names(PlanMetric, name="label", title="label", target="goal")
_TASK = {"title": "title", "name": "title", "task": "title", "description": "description"}


def read_plan(data: object, *, place: str = "planData") -> PlanReading:
    """Read a plan from parsed JSON.

    `place` is where the data stands in the caller's words: it begins the field of an error.

    Raises:
        InvalidInputError: The data cannot be read as a plan: it is no object or has no field of a plan, a list is a
            number, a number is not finite, or the nesting is too deep.
    """
    if not isinstance(data, Mapping):
        raise InvalidInputError(place, "must be an object")
    if data and not any(squeezed(str(key)) in _PLAN for key in data):
        raise InvalidInputError(place, f"has none of the fields of a plan ({', '.join(AnalysisPlan.model_fields)})")
    check_json(data, place)
    notes = Notes(place)
    fields = Fields(data, "", _PLAN, notes)
    plan = AnalysisPlan(
        summary=fields.text("summary", MAX_TEXT),
        channels=tuple(_channels(fields)),
        opportunities=tuple(_opportunities(fields)),
        phases=tuple(_phases(fields)),
        metrics=tuple(_metrics(fields)),
    )
    return PlanReading(plan, notes.all())


def is_like_a_plan(data: object) -> bool:
    """Tell whether this is an object with the lists that make a plan, however they are filled."""
    lists = {"opportunities", "phases"}
    return isinstance(data, Mapping) and any(squeezed(str(key)) in lists for key in data)


def _channels(fields: Fields) -> list[str]:
    names = [
        _channel(read_text(item, place, MAX_NAME, fields.notes, one_line=True))
        for place, item in fields.items("channels", MAX_ITEMS)
    ]
    return [name for name in dict.fromkeys(names) if name]


def _channel(text: str) -> str:
    # Folding case can make a text longer.
    return channel_name(text)[:MAX_NAME].rstrip("-")


def _opportunities(fields: Fields) -> Iterator[Opportunity]:
    for part in _parts(fields, "opportunities", MAX_ITEMS, _OPPORTUNITY, text_as="title"):
        title, what, why, how = (
            part.line("title", MAX_LINE),
            part.text("what", MAX_TEXT),
            part.text("why", MAX_TEXT),
            part.text("how", MAX_TEXT),
        )
        if not title:
            source, text = next(((s, t) for s, t in (("what", what), ("how", how), ("why", why)) if t), ("", ""))
            if not text:
                part.notes.add(part.place, "no title and no text, dropped")
                continue
            title = read_text(text, part.at("title"), MAX_LINE, part.notes, one_line=True)
            part.notes.add(part.at("title"), f"missing, taken from {source}")
        yield Opportunity(
            title=title,
            what=what,
            why=why,
            how=how,
            priority=_priority(part),
            agent=_channel(part.line("agent", MAX_NAME)) or None,
            expected_impact=part.text("expected_impact", MAX_TEXT),
            metric=part.text("metric", MAX_TEXT),
        )


def _priority(part: Fields) -> Priority:
    text = part.line("priority", MAX_NAME)
    if not text:
        return Priority.MEDIUM
    # Without accents: models write "média" and "media", whole or as letter and accent.
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    priority = _PRIORITIES.get(plain)
    if priority is None:
        part.notes.add(part.at("priority"), f"{quoted(text)} is unknown, read as medium")
    elif plain != priority:
        part.notes.add(part.at("priority"), f"{quoted(text)} read as {priority}")
    return priority or Priority.MEDIUM


def _phases(fields: Fields) -> Iterator[Phase]:
    for position, part in enumerate(_parts(fields, "phases", MAX_PHASES, _PHASE, text_as="name"), start=1):
        number = part.number("number", MAX_PHASES)
        if number is None:
            number = position
            problem = f"not a number from 1 to {MAX_PHASES}" if part.has("number") else "missing"
            part.notes.add(part.at("number"), f"{problem}, numbered {number}")
        yield Phase(
            number=number,
            name=part.line("name", MAX_LINE),
            weeks=part.line("weeks", MAX_NAME),
            tasks=tuple(_tasks(part)),
            investment=part.text("investment", MAX_TEXT),
            expected_impact=part.text("expected_impact", MAX_TEXT),
        )


def _tasks(phase: Fields) -> Iterator[str]:
    for place, item in phase.items("tasks", MAX_ITEMS):
        if isinstance(item, Mapping):
            part = Fields(item, place, _TASK, phase.notes)
            texts = (part.line("title", MAX_LINE), part.text("description", MAX_TEXT))
            phase.notes.add(place, "an object, read as text")
            task = read_text(": ".join(text for text in texts if text), place, MAX_TEXT, phase.notes)
        else:
            task = read_text(item, place, MAX_TEXT, phase.notes)
        if task:
            yield task
        else:
            phase.notes.add(place, "empty, dropped")


def _metrics(fields: Fields) -> Iterator[PlanMetric]:
    for part in _parts(fields, "metrics", MAX_ITEMS, _METRIC, text_as="label"):
        label = part.line("label", MAX_LINE)
        if not label:
            part.notes.add(part.place, "no label, dropped")
            continue
        phase = part.number("phase", MAX_PHASES)
        if phase is None and part.has("phase"):
            part.notes.add(part.at("phase"), f"not a number from 1 to {MAX_PHASES}, dropped")
        yield PlanMetric(
            label=label, baseline=part.text("baseline", MAX_TEXT), goal=part.text("goal", MAX_TEXT), phase=phase
        )


def _parts(fields: Fields, field: str, most: int, names: Mapping[str, str], *, text_as: str) -> Iterator[Fields]:
    """Yield the objects of a list; a text stands for an object that has nothing else, what is neither is dropped."""
    for place, item in fields.items(field, most):
        if isinstance(item, Mapping):
            yield Fields(item, place, names, fields.notes)
        elif isinstance(item, str) and item.strip():
            fields.notes.add(place, f"a text, read as its {text_as}")
            yield Fields({text_as: item}, place, names, fields.notes)
        else:
            fields.notes.add(place, "neither an object nor a text, dropped")
