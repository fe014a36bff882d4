"""Random orders of moves and faults against the real store and the real protocol, on both databases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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

#: Without a wish of one's own, few examples, the same on every machine; else so many new ones.
_WANTED = int(os.environ.get("TEST_PROTOCOL_EXAMPLES", "0"))

_SETTINGS = settings(
    deadline=None,
    derandomize=not _WANTED,
    database=None,
    stateful_step_count=30,
    phases=[Phase.generate, Phase.shrink],
    print_blob=False,
)

# The examples may be many.
pytestmark = pytest.mark.timeout(120 + 3 * _WANTED)


@contextmanager
def machine(url: str, clock: Clock, directory: Path) -> Iterator[type[ProtocolMachine]]:
    """Yield the machine on a migrated database."""
    database = doubtful_database(url, clock)
    yield ProtocolMachine.on(database, clock, directory / "processes")
    database.close()
    clock.close()


def test_no_order_of_moves_and_faults_breaks_the_protocol(database_url: str, tmp_path: Path) -> None:
    # As many as take a few seconds.
    clock, examples = (Clock(), 30) if database_url.startswith("sqlite") else (StandingPostgresClock(database_url), 10)
    with machine(database_url, clock, tmp_path) as sound:
        run_state_machine_as_test(sound, settings=settings(_SETTINGS, max_examples=_WANTED or examples))


def complete_whatever_the_fence(patch: pytest.MonkeyPatch) -> None:
    checked = transitions.complete

    def unchecked(connection: Connection, job_id: UUID, _fence: int) -> float | None:
        return checked(connection, job_id, connection.scalar(select(jobs.c.fence).where(jobs.c.job_id == job_id)) or 0)

    patch.setattr(transitions, "complete", unchecked)


def never_reap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeps, "reap", lambda *_, **__: [])


@pytest.mark.parametrize("defect", [complete_whatever_the_fence, never_reap])
def test_a_defect_of_the_protocol_is_noticed(
    defect: Callable[[pytest.MonkeyPatch], None],
    sqlite_template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defect(monkeypatch)
    shutil.copyfile(sqlite_template, tmp_path / "marketplace.db")
    found_soon = settings(_SETTINGS, max_examples=300, phases=[Phase.generate])
    with (
        machine(f"sqlite:///{tmp_path / 'marketplace.db'}", Clock(), tmp_path) as broken,
        pytest.raises(AssertionError),
    ):
        run_state_machine_as_test(broken, settings=found_soon)
