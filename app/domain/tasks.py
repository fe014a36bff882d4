"""Phase 1 tasks: what a plan, an agent or a rule makes of an approved analysis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from app.domain.plan import AnalysisPlan, Opportunity, Phase, Priority

#: The phase whose tasks an approval creates.
PHASE = 1

#: How many opportunities become tasks when nobody has written phase 1.
GENERATED_TASKS = 5

_IDS = UUID("3d6c1c5e-8f0b-4f8e-9d3f-5f7a1f0c2b11")

_ORDER = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


class TaskSource(StrEnum):
    """Where the tasks of a plan come from, best first."""

    PLAN = "plan"
    """The plan's own phase 1."""
    AGENT = "agent"
    """The channel's agent, asked because the plan had no phase 1."""
    CACHE = "cache"
    """The agent's last good answer to the same question."""
    GENERATED = "generated"
    """The plan's highest-priority opportunities."""
    MINIMAL = "minimal"
    """One task per channel, marked for review: the plan had nothing to go by."""


@dataclass(frozen=True)
class Task:
    """One task to be done by a person; `item_key` is unique within its plan and phase."""

    item_key: str
    title: str
    description: str
    priority: Priority
    channel: str | None = None
    needs_review: bool = False


def task_id(plan_id: UUID, item_key: str) -> UUID:
    """Return the id that this item has, whoever writes it and however often."""
    return uuid5(_IDS, f"{plan_id}:{PHASE}:{item_key}")


def tasks_of_phase(phase: Phase, channels: Sequence[str]) -> list[Task]:
    """Return one task for each different task text of a phase, in its order."""
    channel = channels[0] if len(channels) == 1 else None
    return [
        Task(item_key=key, title=text, description=phase.name, priority=Priority.HIGH, channel=channel)
        for key, text in _keyed(phase.tasks, channel)
    ]


def tasks_of_opportunities(opportunities: Iterable[Opportunity], channels: Sequence[str]) -> list[Task]:
    """Return a task for each of the up to five highest-priority opportunities; ties keep the plan's order."""
    best = sorted(opportunities, key=lambda opportunity: _ORDER[opportunity.priority])
    chosen: dict[str, Task] = {}
    for opportunity in best:
        channel = opportunity.agent if opportunity.agent in channels else None
        key = _key(opportunity.title, channel)
        chosen.setdefault(
            key,
            Task(
                item_key=key,
                title=opportunity.title,
                description="\n\n".join(part for part in (opportunity.what, opportunity.how) if part),
                priority=opportunity.priority,
                channel=channel,
            ),
        )
    return list(chosen.values())[:GENERATED_TASKS]


def minimal_tasks(plan: AnalysisPlan, channels: Sequence[str]) -> list[Task]:
    """Return one task per channel, marked for review: somebody must look at this plan."""
    return [
        Task(
            item_key=f"review-{channel}",
            title=f"Review the {channel} analysis and write its first steps",
            description=plan.summary,
            priority=Priority.MEDIUM,
            channel=channel,
            needs_review=True,
        )
        for channel in channels
    ]


def _key(text: str, channel: str | None) -> str:
    words = " ".join(text.split()).casefold()
    return hashlib.sha256(f"{channel or ''}:{words}".encode()).hexdigest()[:32]


def _keyed(texts: Iterable[str], channel: str | None) -> Iterable[tuple[str, str]]:
    """Return the texts with their keys, in their order; of texts with one key only the first."""
    keyed: dict[str, str] = {}
    for text in texts:
        keyed.setdefault(_key(text, channel), text)
    return keyed.items()
