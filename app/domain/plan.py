"""Analysis plans: what the agents' answers become and a person approves.

Reading is lenient where language models are careless, and strict in what comes out: `docs/reference/plan.md`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Priority(StrEnum):
    """How much an opportunity matters."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


#: Upper bounds on what one plan may hold, in items and in characters; what lies past them is cut off, and noted.
MAX_ITEMS = 500
MAX_PHASES = 100
MAX_TEXT = 10_000
MAX_LINE = 500
MAX_NAME = 100

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Line = Annotated[str, Field(max_length=MAX_LINE)]
Title = Annotated[str, Field(min_length=1, max_length=MAX_LINE)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
PhaseNumber = Annotated[int, Field(ge=1, le=MAX_PHASES)]


class PlanPart(BaseModel):
    """A part of a plan: frozen, camelCase in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Opportunity(PlanPart):
    """One thing that a seller could do."""

    title: Title
    what: Text = ""
    why: Text = ""
    how: Text = ""
    priority: Priority = Priority.MEDIUM
    agent: Name | None = None
    expected_impact: Text = ""
    metric: Text = ""


class Phase(PlanPart):
    """One stage of a plan, with the tasks that belong to it."""

    number: PhaseNumber
    name: Line = ""
    weeks: Name = ""
    tasks: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] = ()
    investment: Text = ""
    expected_impact: Text = ""


class PlanMetric(PlanPart):
    """A figure that tells whether the plan works."""

    label: Title
    baseline: Text = ""
    goal: Text = ""
    phase: PhaseNumber | None = None


class AnalysisPlan(PlanPart):
    """A whole plan, as it is stored and shown."""

    summary: Text = ""
    channels: Annotated[tuple[Name, ...], Field(max_length=MAX_ITEMS)] = ()
    opportunities: Annotated[tuple[Opportunity, ...], Field(max_length=MAX_ITEMS)] = ()
    phases: Annotated[tuple[Phase, ...], Field(max_length=MAX_PHASES)] = ()
    metrics: Annotated[tuple[PlanMetric, ...], Field(max_length=MAX_ITEMS)] = ()

    def phase(self, number: int) -> Phase | None:
        """Return the first phase with this number that has tasks, or None."""
        return next((phase for phase in self.phases if phase.number == number and phase.tasks), None)
