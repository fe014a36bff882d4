"""Random orders of moves and faults, run through the machine; and defects of the protocol that it must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Connection, select

from app.storage import sweeps, transitions
from app.storage.schema import jobs
from tests.protocol.doubles import Clock, StandingPostgresClock
from tests.protocol.protocol_machine import ProtocolMachine
from tests.protocol.protocol_world import doubtful_database

#: Moves in each order, at most.
MOST_MOVES = 30


@contextmanager
def machine_on(url: str, directory: Path) -> Iterator[type[ProtocolMachine]]:
    """Yield the machine on a migrated database."""
    clock = Clock() if url.startswith("sqlite") else StandingPostgresClock(url)
    database = doubtful_database(url, clock)
    yield ProtocolMachine.on(database, clock, directory / "processes")
    database.close()
    clock.close()


def run_orders(
    machine: type[ProtocolMachine], *, most: int, new: bool, phases: Sequence[Phase] = (Phase.generate, Phase.shrink)
) -> None:
    """Run up to `most` orders: with `new` others every time, else the same on every machine.

    Raises:
        AssertionError: Something did not hold.
    """
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None,
            derandomize=not new,
            database=None,
            max_examples=most,
            stateful_step_count=MOST_MOVES,
            phases=phases,
            print_blob=False,
        ),
    )


def complete_whatever_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Believe a run that has lost its lease."""
    checked = transitions.complete

    def unchecked(connection: Connection, job_id: UUID, _fence: int) -> float | None:
        return checked(connection, job_id, connection.scalar(select(jobs.c.fence).where(jobs.c.job_id == job_id)) or 0)

    patch.setattr(transitions, "complete", unchecked)


def postpone_whatever_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Let a run that has lost its lease put its job off."""
    checked = transitions.postpone

    def unchecked(connection: Connection, job_id: UUID, _fence: int, **why: Any) -> bool:
        fence = connection.scalar(select(jobs.c.fence).where(jobs.c.job_id == job_id)) or 0
        return checked(connection, job_id, fence, **why)

    patch.setattr(transitions, "postpone", unchecked)


def never_reap(patch: pytest.MonkeyPatch) -> None:
    """Leave jobs with whoever is gone."""
    patch.setattr(sweeps, "reap", lambda *_, **__: [])


Defect = Callable[[pytest.MonkeyPatch], None]
DEFECTS: tuple[Defect, ...] = (complete_whatever_the_fence, postpone_whatever_the_fence, never_reap)

#: Orders within which a defect must be noticed; on average it takes 15.
NOTICED_WITHIN = 300


def orders_until_noticed(defect: Defect, url: str, directory: Path, *, new: bool) -> int | None:
    """Return how many orders it took to notice the defect; None when they were not enough."""
    with pytest.MonkeyPatch.context() as patch, machine_on(url, directory) as broken:
        defect(patch)
        try:
            run_orders(broken, most=NOTICED_WITHIN, new=new, phases=[Phase.generate])
        except AssertionError:
            return broken.orders
    return None
