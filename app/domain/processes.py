"""The kinds of process that the product consists of."""

from __future__ import annotations

from enum import StrEnum


class ProcessRole(StrEnum):
    """What a process does."""

    WEB = "web"
    """Answers the API; runs jobs in place while there is no queue."""
    WORKER = "worker"
    """Runs jobs, several at once."""
    QUARANTINE = "quarantine"
    """Runs jobs that a process died under, one at a time."""
    SCHEDULER = "scheduler"
    """Sweeps, delivers events, and runs due jobs while Redis is away."""
