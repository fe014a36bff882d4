"""The switches of operators: how Phase 1 jobs are run, and whether workers take the jobs of a queue.

A pause stops every claim that nobody asked for: those of workers, of the scheduler in their stead, and of the API when
Redis is away. What an operator has switched to run in place, by mode or by drain, still runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from app.domain.controls import HELD, MODE, Mode, QueueState, queue_control
from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind
from app.domain.roles import Actor
from app.job_queue.hints import HintQueue
from app.settings import JobSettings
from app.storage.audit import record_audit
from app.storage.clock import database_now
from app.storage.controls import Control, all_controls, finish_drain, mode_of, queue_state, set_control
from app.storage.database import Database
from app.storage.queues import QueueLoad, left_of_drain, queue_loads, restart_deadlines
from app.storage.sweeps import make_hints_due

_log = structlog.stdlib.get_logger(__name__)


#: How the audit log names the turning of a queue's switch to a state.
_ACTIONS = {
    QueueState.PAUSED: "queue.pause",
    QueueState.RUNNING: "queue.resume",
    QueueState.DRAINING: "queue.drain",
}


@dataclass(frozen=True)
class QueueStatus:
    """One queue: its switch, and what is in it."""

    kind: JobKind
    queue: str
    state: QueueState
    control: Control
    load: QueueLoad
    oldest_due_seconds: float | None
    """For how long the oldest job that can be claimed has waited."""
    left: int | None
    """Jobs that a drain still waits for; None when the queue is not draining."""
    hints_waiting: int | None
    """Hints in Redis, None when it does not tell."""


class Controls:
    """Turns the switches; safe to use from many threads and processes. Turning one to where it stands does nothing."""

    def __init__(self, database: Database, hints: HintQueue, jobs: JobSettings) -> None:
        self._database = database
        self._hints = hints
        self._jobs = jobs

    def mode(self) -> Control:
        """Return how Phase 1 jobs are run.

        Raises:
            DatabaseUnavailableError: It is not known.
        """
        with self._database.read() as connection:
            return all_controls(connection)[MODE]

    def set_mode(self, mode: Mode, *, reason: str, by: Actor, request_id: str | None) -> Control:
        """Change how the Phase 1 jobs of plans that are approved from now on are run.

        Raises:
            DatabaseUnavailableError: Nothing happened, or it is unknown: do it again.
        """
        with self._database.write() as connection:
            if mode_of(connection) is not mode and set_control(
                self._database, connection, MODE, mode, actor=by.name, reason=reason
            ):
                record_audit(
                    connection,
                    actor=by.name,
                    action="mode.change",
                    target_type="mode",
                    target_id=mode,
                    reason=reason,
                    request_id=request_id,
                )
            return all_controls(connection)[MODE]

    def queues(self, kinds: Collection[JobKind] = tuple(JobKind)) -> list[QueueStatus]:
        """Return these queues with what is in them.

        Raises:
            DatabaseUnavailableError: It is not known.
        """
        with self._database.read() as connection:
            now = database_now(connection)
            controls, loads = all_controls(connection), queue_loads(connection, now)
            found = [(kind, controls[queue_control(kind)], loads[kind]) for kind in kinds]
            left = [_left(connection, kind, control) for kind, control, _ in found]
        return [
            QueueStatus(
                kind=kind,
                queue=QUEUES[kind],
                state=QueueState(control.value),
                control=control,
                load=load,
                oldest_due_seconds=None if load.oldest_due_at is None else (now - load.oldest_due_at).total_seconds(),
                left=left_here,
                hints_waiting=waiting,
            )
            for (kind, control, load), left_here, waiting in zip(found, left, self._waiting(kinds), strict=True)
        ]

    def pause(self, kinds: Collection[JobKind], *, reason: str, by: Actor, request_id: str | None) -> None:
        """Let nobody claim jobs of these kinds; what runs already ends.

        Raises:
            DatabaseUnavailableError: Nothing happened, or it is unknown: do it again.
        """
        with self._database.write() as connection:
            self._turn(connection, kinds, QueueState.PAUSED, reason, by, request_id)

    def resume(self, kinds: Collection[JobKind], *, reason: str, by: Actor, request_id: str | None) -> None:
        """Let jobs of these kinds be claimed again; the hints of those that wait are due at once.

        Raises:
            DatabaseUnavailableError: Nothing happened, or it is unknown: do it again.
        """
        with self._database.write() as connection:
            self._let_go(connection, kinds, QueueState.RUNNING, reason, by, request_id)

    def drain(self, kinds: Collection[JobKind], *, reason: str, by: Actor, request_id: str | None) -> None:
        """Let workers finish what these queues hold now; then they are `drained`.

        New approvals run in place meanwhile and afterwards. Asking again does not begin again; it notes the end of a
        drain, should no scheduler be there to do so.

        Raises:
            DatabaseUnavailableError: Nothing happened, or it is unknown: do it again.
        """
        with self._database.write() as connection:
            loads = queue_loads(connection, database_now(connection))
            wanted = [
                kind for kind in kinds if loads[kind].open or queue_state(connection, kind) is not QueueState.DRAINED
            ]
            self._let_go(connection, wanted, QueueState.DRAINING, reason, by, request_id)
            for kind in wanted:
                finish_drain(connection, kind)

    def finish_drains(self) -> int:
        """Note each drain whose jobs have all ended; return how many. A chore of the scheduler.

        Raises:
            DatabaseUnavailableError: It is tried again at the next tick.
        """
        with self._database.read() as connection:
            draining = [kind for kind in JobKind if queue_state(connection, kind) is QueueState.DRAINING]
        if not draining:
            return 0
        with self._database.write() as connection:
            finished = [kind for kind in draining if finish_drain(connection, kind)]
        for kind in finished:
            _log.warning("queue_drained", queue=QUEUES[kind])
        return len(finished)

    def _let_go(
        self,
        connection: Connection,
        kinds: Collection[JobKind],
        state: QueueState,
        reason: str,
        by: Actor,
        request_id: str | None,
    ) -> None:
        """Turn switches to a state in which jobs are claimed; what jobs waited in a held queue must not count."""
        held = {kind for kind in kinds if queue_state(connection, kind) in HELD}
        turned = self._turn(connection, kinds, state, reason, by, request_id)
        for kind in held.intersection(turned):
            restart_deadlines(connection, kind, seconds=self._jobs.total_seconds(kind))
        make_hints_due(connection, turned)

    def _turn(
        self,
        connection: Connection,
        kinds: Collection[JobKind],
        state: QueueState,
        reason: str,
        by: Actor,
        request_id: str | None,
    ) -> list[JobKind]:
        """Turn the switches that do not stand there yet; return whose."""
        turned = [
            kind
            for kind in kinds
            if queue_state(connection, kind) is not state
            and set_control(self._database, connection, queue_control(kind), state, actor=by.name, reason=reason)
        ]
        for kind in turned:
            record_audit(
                connection,
                actor=by.name,
                action=_ACTIONS[state],
                target_type="queue",
                target_id=QUEUES[kind],
                reason=reason,
                request_id=request_id,
            )
        return turned

    def _waiting(self, kinds: Collection[JobKind]) -> list[int | None]:
        """Return how many hints of each kind wait in Redis; after one failure it is not asked again."""
        found: list[int | None] = []
        for kind in kinds:
            try:
                found.append(self._hints.waiting(QUEUES[kind]))
            except RedisUnavailableError as error:
                _log.warning("hints_not_counted", reason=str(error))
                break
        return found + [None] * (len(kinds) - len(found))


def _left(connection: Connection, kind: JobKind, control: Control) -> int | None:
    if control.value != QueueState.DRAINING or control.changed_at is None:
        return None
    return left_of_drain(connection, kind, control.changed_at)
