"""Jobs: their kinds, states and events, and the message that announces them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class JobKind(StrEnum):
    """What a job does."""

    ANALYSIS = "analysis"
    """Asks the agents; takes as long as language models take."""
    PHASE1 = "phase1"
    """Creates the Phase 1 tasks of an approved plan."""


class JobStatus(StrEnum):
    """Where a job is. The row in `marketplace_job_executions` is the truth; messages are hints."""

    PENDING = "pending"
    """In: approval, a retry, a postponement, a reaped lease, a release at shutdown. Out: a claim.

    A crash leaves it as it is.
    """
    ACTIVE = "active"
    """In: a claim, with a lease. Out: completion, failure, postponement, release.

    A crash leaves it until the lease ends.
    """
    COMPLETED = "completed"
    """In: a completion that still held its fence. Final."""
    FAILED = "failed"
    """In: a permanent error, retries used up, or too many crashes; always with a dead letter. Final."""


class EventType(StrEnum):
    """What subscribers can ask for."""

    ENQUEUED = "job:enqueued"
    ACTIVE = "job:active"
    COMPLETED = "job:completed"
    FAILED = "job:failed"


class PlanStatus(StrEnum):
    """Where a plan is."""

    ANALYZING = "analyzing"
    """In: a request for analysis. Out: its job completes or fails."""
    ANALYSIS_FAILED = "analysis_failed"
    """In: the analysis job failed for good. Out: a retry of its dead letter."""
    AWAITING_APPROVAL = "awaiting_approval"
    """In: a finished analysis or an import. Out: a person decides."""
    APPROVED = "approved"
    """In: a person approved; a `phase1` job exists from the same transaction on. Final."""
    REJECTED = "rejected"
    """In: a person rejected, with a reason. Final."""


class AttemptOutcome(StrEnum):
    """How one attempt of a job ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    RETRYING = "retrying"
    """A recoverable error; the job is due again later."""
    FAILED = "failed"
    POSTPONED = "postponed"
    """An agent that it needs was busy; the job is due again later, and no failure is counted."""
    RELEASED = "released"
    """The worker was told to stop and gave the job back."""
    LOST = "lost"
    """The process died, froze or hung; a `LossCause` is the attempt's error code."""


class LossCause(StrEnum):
    """How it was noticed that a run is lost."""

    LEASE_EXPIRED = "lease_expired"
    """Its lease ran out."""
    PROCESS_DIED = "process_died"
    """A process of the same host saw that its process was dead."""


class RunVia(StrEnum):
    """Which way an attempt was made."""

    QUEUE = "queue"
    """By a worker, on a hint."""
    SYNC = "sync"
    """In place, by the process that answered the approval."""
    FALLBACK = "fallback"
    """By the scheduler: Redis was away, or an operator had chosen to do without the queue."""


#: Queue of each kind. Separate queues, so that slow analyses cannot keep Phase 1 jobs waiting, nor the reverse.
QUEUES: dict[JobKind, str] = {JobKind.ANALYSIS: "analysis", JobKind.PHASE1: "phase1-tasks"}

#: Queue of jobs whose process died under them: a process of their own works them off, so that a job that kills its
#: process takes no healthy neighbour along.
QUARANTINE_QUEUES: dict[JobKind, str] = {JobKind.ANALYSIS: "analysis-quarantine", JobKind.PHASE1: "phase1-quarantine"}

#: Name of the one actor that every queue's messages are for; the web process knows it by this name only.
ACTOR = "run_job"


class JobMessage(BaseModel):
    """Hint that a job may be due: ids only, the work itself is in the database."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    v: Literal[1] = 1
    job_id: UUID = Field(alias="jobId")
    crash_count: int = Field(alias="crashCount", default=0, ge=0)
    """How many processes have died under the job: who runs it must know. With any other number it is not claimed."""
