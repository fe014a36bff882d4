"""What operators switch while everything runs."""

from __future__ import annotations

from enum import StrEnum

from app.domain.jobs import JobKind


class Mode(StrEnum):
    """How the Phase 1 job of an approved plan is run."""

    QUEUE = "queue"
    """By a worker; the usual way."""
    SYNC = "sync"
    """In place, by the process that answers the approval: the way back when the queue makes trouble."""


class QueueState(StrEnum):
    """What workers do with the jobs of one queue."""

    RUNNING = "running"
    PAUSED = "paused"
    """Nothing new is claimed; what runs already ends."""
    DRAINING = "draining"
    """Workers finish what is there; new approvals run in place, so that the queue becomes empty."""
    DRAINED = "drained"
    """In: the scheduler, when every job that the drain found has ended. Nothing new is claimed; new approvals run in
    place. Out: an operator."""


#: States in which workers, and the scheduler in their stead, claim nothing new.
HELD = (QueueState.PAUSED, QueueState.DRAINED)

#: States in which new approvals run in place, whatever the mode.
EMPTYING = (QueueState.DRAINING, QueueState.DRAINED)

#: Name of the mode's row in the table of controls, and how the name of a queue's row begins.
MODE = "mode"
QUEUE_PREFIX = "queue:"


def queue_control(kind: JobKind) -> str:
    """Return the name of a queue's row in the table of controls."""
    return QUEUE_PREFIX + kind
