"""How a job, or what it should have made, can be lost. None of these should ever be."""

from __future__ import annotations

from enum import StrEnum


class LossKind(StrEnum):
    """What is not there. docs/decisions/conservation.md says how each one is found."""

    JOB_MISSING = "job_missing"
    """A job was accepted, and has no row any more."""
    NOT_ACCEPTED = "not_accepted"
    """There is a job that was never told to be accepted."""
    TASKS_MISSING = "tasks_missing"
    """A plan has the tasks of a job by its own word, and not all of them are there, or the job has not completed."""
    PLAN_WITHOUT_JOB = "plan_without_job"
    """A plan is approved or analyzing, and has no job that could bring it on. The scheduler makes one."""
    PLAN_NOT_LATCHED = "plan_not_latched"
    """A plan's job ended, and the plan does not know."""
    NO_DEAD_LETTER = "no_dead_letter"
    """A job failed, and has no dead letter. The scheduler writes it."""
