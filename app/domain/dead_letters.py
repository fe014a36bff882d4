"""Dead letters: why a job or a message came to no good end, and what became of it then."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.domain.errors import RECOVERABLE_CODES
from app.domain.jobs import JobKind, LossCause

#: Reason of a job whose every run ended with its process.
CRASH_LIMIT = "crash_limit"
#: Reason of a job that no worker has taken for so long that it was given up.
DEADLINE_EXCEEDED = "deadline_exceeded"

#: Letters that one bulk retry takes, at most.
MOST_RETRIED = 1000


class MessageFault(StrEnum):
    """Reason of a message that leads to no job."""

    UNDECODABLE = "message_undecodable"
    """Bytes that are no message of ours."""
    VERSION = "message_version"
    """A message of a version that this process does not know: it was deployed too late, or too early."""
    UNKNOWN_ACTOR = "message_unknown_actor"
    """A message for a task that no worker has."""
    UNKNOWN_JOB = "unknown_job"
    """A message that names a job which is not in the database."""


class ErrorClass(StrEnum):
    """What kind of end it was, and so what helps."""

    RECOVERABLE = "recoverable"
    """Errors that may pass, until no retry was left: try again when the other side is well."""
    PERMANENT = "permanent"
    """An error that repeats: mend its cause first."""
    CRASH = "crash"
    """Its process died, froze or hung every time: look at the job before anything else."""
    MESSAGE = "message"
    """No job at all: a message that cannot be read, or that names nothing we know."""


class SkipCause(StrEnum):
    """Why a dead letter cannot be retried."""

    NO_JOB = "no_job"
    """It is a message: there is nothing to run."""
    ALREADY_RETRIED = "already_retried"
    """A job follows it already."""
    DISCARDED = "discarded"
    """A person has discarded it; retried by its id it can still be."""
    JOB_OPEN = "job_open"
    """Its plan has a job of this kind that waits or runs."""
    PLAN_HAS_TASKS = "plan_has_tasks"
    """Another job has created the tasks."""
    PLAN_MOVED_ON = "plan_moved_on"
    """Its plan does not wait for this kind of job any more."""


class LetterStatus(StrEnum):
    """Where a dead letter is."""

    WAITING = "waiting"
    """For a person."""
    RETRIED = "retried"
    """Another job follows it."""
    DISCARDED = "discarded"
    """A person has decided that nothing follows, for a reason."""


@dataclass(frozen=True)
class LetterFilter:
    """Which dead letters are wanted; None means any. All conditions hold together.

    `channel` is one of the plan's; `text` stands in the error's message, in capitals or not.
    """

    status: LetterStatus | None = None
    kind: JobKind | None = None
    reason: str | None = None
    error_class: ErrorClass | None = None
    channel: str | None = None
    plan_id: UUID | None = None
    since_seconds: int | None = None
    text: str | None = None


def error_class_of(code: str) -> ErrorClass:
    """Return the class of what ended a job or an attempt.

    >>> error_class_of("timeout"), error_class_of("bad_answer"), error_class_of("crash_limit")
    (<ErrorClass.RECOVERABLE: 'recoverable'>, <ErrorClass.PERMANENT: 'permanent'>, <ErrorClass.CRASH: 'crash'>)
    """
    if code in {CRASH_LIMIT, *LossCause}:
        return ErrorClass.CRASH
    return ErrorClass.RECOVERABLE if code in {*RECOVERABLE_CODES, DEADLINE_EXCEEDED} else ErrorClass.PERMANENT
