"""The job protocol as a state machine: any order of moves and faults, and what must hold after each of them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Row, select

from app.domain.controls import Mode
from app.domain.errors import (
    AgentBusyError,
    ConflictError,
    MarketplaceError,
    NetworkError,
    PermanentError,
    RedisUnavailableError,
)
from app.domain.jobs import JobKind, JobStatus, PlanStatus
from app.domain.retry import LONGEST_POSTPONEMENT_SECONDS
from app.job_execution import _END_TRIES as END_TRIES
from app.job_execution import RunEnd
from app.storage.jobs import job_by_id
from app.storage.schema import dead_letters
from app.storage.transitions import Claim
from tests.pipeline import APPROVER, PLAN
from tests.protocol.doubles import Clock, DoubtfulDatabase, Hint
from tests.protocol.invariants import OPEN, Invariants, ms, rows_of
from tests.protocol.protocol_world import ProtocolWorld
from tests.protocol.runs import Process, Run

#: Which one of several: taken modulo their number, so that a smaller number is always a simpler example.
WHICH = st.integers(0, 5)

#: Failing commits at the end of a run, up to as many as it tries; True for one that took effect nevertheless.
DOUBTS = st.lists(st.booleans(), max_size=END_TRIES).map(tuple)

#: More would only make each step slower.
MOST_PLANS = 6


class ProtocolMachine(RuleBasedStateMachine):
    """Moves of people, workers, sweeper, Redis and time, in any order."""

    database: ClassVar[DoubtfulDatabase]
    clock: ClassVar[Clock]
    directory: ClassVar[Path]
    #: How many orders of moves were begun, and how many times what must hold was checked.
    orders: ClassVar[int]
    checks: ClassVar[int]

    @classmethod
    def on(cls, database: DoubtfulDatabase, clock: Clock, directory: Path) -> type[ProtocolMachine]:
        """Return the machine that makes its worlds here, one after the other."""
        return type(
            cls.__name__,
            (cls,),
            {"database": database, "clock": clock, "directory": directory, "orders": 0, "checks": 0},
        )

    def __init__(self) -> None:
        super().__init__()
        type(self).orders += 1
        self.world = ProtocolWorld(self.database, self.clock, self.directory)
        self.plans: list[UUID] = []
        self.decided: dict[UUID, PlanStatus] = {}
        self.what_must_hold = Invariants(self.world.settings)
        self.workers = [self.world.new_process(), self.world.new_process()]

    # People

    @initialize(has_phase_1=st.booleans())
    def begin_with_a_job(self, *, has_phase_1: bool) -> None:
        self.import_plan(has_phase_1=has_phase_1, is_approved=True)

    @precondition(lambda self: len(self.plans) < MOST_PLANS)
    @rule(has_phase_1=st.booleans(), is_approved=st.booleans())
    def import_plan(self, *, has_phase_1: bool, is_approved: bool) -> None:
        plan_id = self.world.analyses.import_plan(
            title="Shoes",
            channels=["amazon"],
            plan_data=PLAN if has_phase_1 else {"summary": "Sell more shoes"},
            by=APPROVER,
            request_id=None,
        )
        self.plans.append(plan_id)
        if is_approved:
            self.decide(len(self.plans) - 1, is_approved=True)

    @rule(which=WHICH, is_approved=st.booleans())
    def decide(self, which: int, *, is_approved: bool) -> None:
        """Approve or reject a plan, be it the second time or the other way."""
        plan_id = self.plans[which % len(self.plans)]
        decision = PlanStatus.APPROVED if is_approved else PlanStatus.REJECTED
        if self.decided.setdefault(plan_id, decision) is not decision:
            with pytest.raises(ConflictError):
                self._decide(plan_id, decision)
        else:
            self._decide(plan_id, decision)

    @rule(which=WHICH, is_discarded=st.booleans())
    def decide_on_letter(self, which: int, *, is_discarded: bool) -> None:
        with self.world.database.read() as connection:
            letters = connection.scalars(select(dead_letters.c.id).order_by(dead_letters.c.archived_at)).all()
        # One that is decided already, or whose plan needs no job any more, is refused.
        with contextlib.suppress(ConflictError, IndexError):
            if is_discarded:
                self.world.letters.discard(letters[which], reason="Too late", by=APPROVER, request_id=None)
            else:
                self.world.letters.retry(letters[which], by=APPROVER, request_id=None)

    @rule(action=st.sampled_from(["recover", "pause", "resume", "drain", Mode.SYNC, Mode.QUEUE]))
    def operate(self, action: str) -> None:
        controls = self.world.controls
        if action == "recover":
            self.world.recovery.recover(self.plans, by=APPROVER, request_id=None)
        elif isinstance(action, Mode):
            controls.set_mode(action, reason="Maintenance", by=APPROVER, request_id=None)
        else:
            turn = {"pause": controls.pause, "resume": controls.resume, "drain": controls.drain}[action]
            turn([JobKind.PHASE1], reason="Maintenance", by=APPROVER, request_id=None)

    # Workers

    @precondition(lambda self: self.world.hints.waiting_hints)
    @rule(which=WHICH, worker=WHICH)
    def take_hint(self, which: int, worker: int) -> None:
        hints = self.world.hints.waiting_hints
        hint = hints.pop(which % len(hints))
        job = self._job(hint.job_id)
        is_due = job.status == JobStatus.PENDING and ms(job.available_at) <= self.world.clock.now_ms
        is_meant = hint.crash_count == job.crash_count and not self.world.is_held
        assert self._begin(self.workers[worker % len(self.workers)], hint) == (is_due and is_meant)

    @rule()
    def dispatch_and_take_all_hints(self) -> None:
        self._dispatch()
        while self.world.hints.waiting_hints:
            self.take_hint(0, len(self.world.hints.waiting_hints))

    @precondition(lambda self: self._running())
    @rule(which=WHICH, doubts=DOUBTS)
    def complete(self, which: int, doubts: tuple[bool, ...]) -> None:
        self._finish(self._one_of_running(which), doubts, None)

    @precondition(lambda self: self._running())
    @rule(which=WHICH, doubts=DOUBTS, error=st.sampled_from([NetworkError("reset"), PermanentError("refused")]))
    def fail(self, which: int, doubts: tuple[bool, ...], error: MarketplaceError) -> None:
        self._finish(self._one_of_running(which), doubts, error)

    @precondition(lambda self: self._running())
    @rule(which=WHICH, doubts=DOUBTS, turn=st.sampled_from([0.0, 3.0, 60.0]))
    def postpone(self, which: int, doubts: tuple[bool, ...], turn: float) -> None:
        """End a run because an agent is busy."""
        self._finish(self._one_of_running(which), doubts, AgentBusyError("busy", turn_seconds=turn))

    @rule(which=WHICH, goes_on=st.booleans())
    def freeze(self, which: int, *, goes_on: bool) -> None:
        """Stop busy processes past their leases, and let others take over: they go on in vain, at once or later."""
        self.dispatch_and_take_all_hints()
        if not self._running():
            return
        frozen = self._one_of_running(which)
        self.world.clock.advance(self.world.settings.lease_seconds + 1)
        self.world.sweeper.reap()
        self.dispatch_and_take_all_hints()
        if goes_on:
            self._finish(frozen, (), None)

    @rule(worker=WHICH, how=st.sampled_from(["stops", "dies", "dies with its host"]))
    def end_worker(self, worker: int, how: str) -> None:
        """End a worker; one that is told to stop gives back what it holds, and its threads end later."""
        number = worker % len(self.workers)
        ending, self.workers[number] = self.workers[number], self.world.new_process()
        if how == "stops":
            ending.stop()
            for run in ending.runs:
                assert run.finish() is RunEnd.LOST
        else:
            ending.die(with_host=how == "dies with its host")

    # Sweeper, Redis and time

    @rule(chore=st.sampled_from(["dispatch", "reap", "give back", "reconcile", "fall back", "watch", "finish drains"]))
    def sweep(self, chore: str) -> None:
        world, dead = self.world, self.world.dead_owners()
        {
            "dispatch": self._dispatch,
            "reap": world.sweeper.reap,
            "give back": world.give_back_dead,
            "reconcile": world.sweeper.reconcile,
            "fall back": world.fall_back,
            "watch": world.watch.look,
            "finish drains": world.controls.finish_drains,
        }[chore]()
        for job in rows_of(world.database).jobs:
            if job.status == JobStatus.ACTIVE:
                assert chore != "reap" or ms(job.lease_until_at) >= world.clock.now_ms
                assert chore != "give back" or job.lease_owner not in dead

    @rule(fault=st.sampled_from(["loses a hint", "repeats a hint", "is emptied", "goes away", "returns"]), which=WHICH)
    def disturb_redis(self, fault: str, which: int) -> None:
        hints = self.world.hints
        hints.is_away = fault == "goes away"
        if fault == "is emptied":
            hints.lose_everything()
        elif hints.waiting_hints and fault.endswith("a hint"):
            hint = hints.waiting_hints.pop(which % len(hints.waiting_hints))
            hints.waiting_hints += [hint, hint] if fault == "repeats a hint" else []

    @rule(seconds=st.sampled_from([0.5, 3.0, 13.0, 45.0, 3600.0]), is_alive=st.booleans())
    def let_time_pass(self, seconds: float, *, is_alive: bool) -> None:
        """Move the clock, and with `is_alive` let workers renew the leases that they still have."""
        self.world.clock.advance(seconds)
        for worker in self.workers if is_alive else ():
            worker.heartbeat.beat_once()

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def set_clock(self, seconds: float) -> None:
        """Set the clock; the sweeper notices before it believes any lease."""
        self.world.clock.set_by(seconds)
        self.world.sweeper.reap()

    @precondition(lambda self: not (self.world.is_held or self.world.waits_for_scheduler))
    @rule()
    def leave_workers_idle(self) -> None:
        """A sweeper that ticks at least every REDISPATCH leaves no pending job without a hint for longer."""
        self.world.hints.is_away = False
        self._dispatch()
        self.world.clock.advance(self.world.settings.redispatch_seconds)
        self._dispatch()
        before = self.world.clock.now_ms - self.world.settings.redispatch_seconds * 1000
        for job in rows_of(self.world.database).jobs:
            if job.status == JobStatus.PENDING and ms(job.available_at) <= before:
                assert Hint(job.job_id, crash_count=job.crash_count) in self.world.hints.waiting_hints

    # What must hold

    @invariant()
    def the_database_is_consistent(self) -> None:
        type(self).checks += 1
        self.what_must_hold.check(rows_of(self.world.database), self.decided, self.world.clock.now_ms)

    def teardown(self) -> None:
        try:
            self._let_faults_stop()
        finally:
            self.world.close()

    def _let_faults_stop(self) -> None:
        """Everything comes to an end."""
        for run in self._running():
            run.finish()
        self.world.hints.is_away = False
        self.operate("resume")
        self.operate(Mode.QUEUE)
        for _ in range(20):
            if not any(job.status in OPEN for job in rows_of(self.world.database).jobs):
                break
            self.world.sweeper.dispatch()
            self.world.sweeper.reap()
            self.world.sweeper.reconcile()
            while self.world.hints.waiting_hints:
                run = Run(self.workers[0].executor, self.world.hints.waiting_hints.pop())
                if run.begin():
                    assert run.finish() is RunEnd.COMPLETED
            self.world.clock.advance(self.world.settings.redispatch_seconds)
        self.the_database_is_consistent()
        rows = rows_of(self.world.database)
        assert not any(job.status in OPEN for job in rows.jobs)
        for plan_id, status in self.decided.items():
            if status is PlanStatus.APPROVED and rows.plans[plan_id].phase1_job_id is None:
                assert rows.newest_job(plan_id).status == JobStatus.FAILED

    def _begin(self, worker: Process, hint: Hint) -> bool:
        run = Run(worker.executor, hint)
        if run.begin() is None:
            assert run.end is RunEnd.NOT_CLAIMED
            return False
        worker.runs.append(run)
        return True

    def _decide(self, plan_id: UUID, decision: PlanStatus) -> None:
        if decision is PlanStatus.REJECTED:
            self.world.approvals.reject(plan_id, by=APPROVER, reason="Too dear", request_id=None)
            return
        job_id = self.world.approvals.approve(plan_id, by=APPROVER, request_id=None).job_id
        assert job_id == rows_of(self.world.database).newest_job(plan_id).job_id

    def _dispatch(self) -> None:
        if self.world.hints.is_away:
            with pytest.raises(RedisUnavailableError):
                self.world.sweeper.dispatch()
            return
        self.world.sweeper.dispatch()
        if self.world.is_held:
            return
        left_alone = self.world.waits_for_scheduler
        for job in rows_of(self.world.database).jobs:
            if job.status == JobStatus.PENDING and not (left_alone and job.crash_count == 0):
                assert ms(max(job.available_at, job.next_dispatch_at)) > self.world.clock.now_ms

    def _finish(self, run: Run, doubts: tuple[bool, ...], error: MarketplaceError | None) -> None:
        assert run.claim is not None
        job = self._job(run.claim.job_id)
        is_held = job.status == JobStatus.ACTIVE and job.fence == run.claim.fence
        self.world.database.doubts = doubts
        end = run.finish(error)
        self.world.database.doubts = ()
        for worker in self.workers:
            worker.runs = [other for other in worker.runs if other is not run]
        if not is_held:
            assert end in {RunEnd.LOST, None}, "a run that had lost its lease was believed"
        elif len(doubts) < END_TRIES:
            assert end in self._ends_after(error, run.claim)
            if end is RunEnd.POSTPONED:
                assert self._job(job.job_id).error_count == job.error_count, "a postponement counted as a failure"

    def _ends_after(self, error: MarketplaceError | None, claim: Claim) -> set[RunEnd]:
        """Return how a run that still has its lease may end; time stands still while it ends."""
        if error is None:
            return {RunEnd.COMPLETED}
        failed = {RunEnd.RETRYING, RunEnd.FAILED}
        if not isinstance(error, AgentBusyError) or claim.seconds_left < claim.timeout_seconds:
            return failed
        always = claim.seconds_left > claim.timeout_seconds + LONGEST_POSTPONEMENT_SECONDS + 1
        return {RunEnd.POSTPONED} if always else {RunEnd.POSTPONED, *failed}

    def _one_of_running(self, which: int) -> Run:
        runs = self._running()
        return runs[which % len(runs)]

    def _running(self) -> list[Run]:
        return [run for worker in self.workers for run in worker.runs]

    def _job(self, job_id: UUID) -> Row[Any]:
        with self.world.database.read() as connection:
            job = job_by_id(connection, job_id)
        assert job is not None
        return job
