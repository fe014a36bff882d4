"""Why a plan makes no progress although it should: every stage of its way has a limit."""

from __future__ import annotations

from enum import StrEnum


class StuckCause(StrEnum):
    """What keeps a plan from its end. docs/howto/stuck-plans.md says of each what to do."""

    NO_JOB = "no_job"
    """It is analyzing or approved, and has no job that could bring it on. The scheduler makes one."""
    WAITING = "waiting"
    """Its job could start, and no worker has taken it for longer than the limit. The scheduler sends another hint."""
    RETRY_OVERDUE = "retry_overdue"
    """The same, for the next attempt of a job that has failed before."""
    PAST_DEADLINE = "past_deadline"
    """Its job is open although its total time is over. One that no worker takes for a day is given up."""
    OVERRUN = "overrun"
    """Its job runs for longer than an attempt and a lease can last."""
    LEASE_EXPIRED = "lease_expired"
    """The process that ran its job is gone, and no scheduler has taken the job back. The scheduler does so."""
    NOT_LATCHED = "not_latched"
    """Its job ended, and the plan does not know: a defect, which nobody repairs silently."""
    NO_DEAD_LETTER = "no_dead_letter"
    """Its job failed without a dead letter: a defect. The scheduler writes the letter."""
    QUEUE_PAUSED = "queue_paused"
    """Its job waits because an operator has paused the queue. That is no fault, and is counted apart."""


#: Causes that the protocol rules out: somebody should look, whatever is repaired.
DEFECTS = frozenset({StuckCause.NOT_LATCHED, StuckCause.NO_DEAD_LETTER, StuckCause.OVERRUN})
