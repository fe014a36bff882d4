from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, delete, insert, select, update

from app.dead_letters import BulkRetry, RetriedLetter
from app.domain.dead_letters import ErrorClass, LetterFilter, LetterStatus, SkipCause
from app.domain.errors import BadAnswerError, ConflictError, InvalidInputError, NotFoundError
from app.domain.jobs import QUEUES, JobKind, JobStatus, PlanStatus
from app.domain.roles import Actor, Role
from app.job_execution import RunEnd
from app.letter_retry import retry_letter
from app.recovery import RecoveryAction
from app.storage import sweeps
from app.storage.letter_reads import retry_candidate
from app.storage.plans import set_latch
from app.storage.schema import audit_log, dead_letters, events, jobs, plans
from app.storage.transitions import insert_job
from tests.letters import archive_many, archive_one, archive_unreadable
from tests.pipeline import Pipeline, raising

OPERATOR = Actor("otto", Role.ADMIN)


def retry(pipeline: Pipeline, letter_id: UUID) -> RetriedLetter:
    return pipeline.dead_letters.retry(letter_id, by=OPERATOR, request_id="request-1")


def retry_many(pipeline: Pipeline, wanted: LetterFilter | None = None, **order: Any) -> BulkRetry:
    return pipeline.dead_letters.retry_many(
        wanted or LetterFilter(),
        **{"limit": 1000, "rate_per_second": None, "dry_run": False, **order},
        by=OPERATOR,
        request_id=None,
    )


def discard(pipeline: Pipeline, letter_id: UUID, reason: str = "a test order") -> Row[Any]:
    return pipeline.dead_letters.discard(letter_id, reason=reason, by=OPERATOR, request_id=None)


def letter(pipeline: Pipeline, job_id: UUID) -> Row[Any]:
    return pipeline.dead_letters.find(job_id)


def followers(pipeline: Pipeline) -> list[UUID]:
    """Return the jobs that have been retried, one entry for each new job."""
    with pipeline.database.read() as connection:
        return list(connection.scalars(select(jobs.c.retry_of).where(jobs.c.retry_of.is_not(None))).all())


def audited(pipeline: Pipeline) -> list[tuple[str, str, str | None]]:
    with pipeline.database.read() as connection:
        rows = connection.execute(select(audit_log).where(audit_log.c.target_type == "dead_letter")).all()
    return [(row.action, row.target_id, row.reason) for row in rows]


def plan_of(pipeline: Pipeline, job_id: UUID) -> UUID:
    plan_id: UUID = pipeline.job(job_id).plan_id
    return plan_id


def resolved(pipeline: Pipeline, outcome: str) -> float:
    return pipeline.value("marketplace_dead_letters_resolved_total", outcome=outcome)


def test_a_retry_is_a_new_job_that_follows_the_failed_one(pipeline: Pipeline) -> None:
    failed = pipeline.approved()
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("no JSON"))
    pipeline.executor.run(failed)
    retried = retry(pipeline, failed)

    job, archived = pipeline.job(retried.job_id), letter(pipeline, failed)
    assert (job.status, job.generation, job.retry_of) == (JobStatus.PENDING, 2, failed)
    assert (archived.status, archived.retried_as, archived.resolved_by) == ("retried", retried.job_id, "otto")
    assert archived.resolved_at is not None
    assert pipeline.job(failed).status == JobStatus.FAILED
    assert pipeline.executor.run(retried.job_id) == RunEnd.COMPLETED


def test_a_retry_is_announced_audited_counted_and_told_with_the_job_that_it_follows(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    retried = retry(pipeline, failed)
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 1
    assert audited(pipeline) == [("dead_letter.retry", str(failed), None)]
    assert resolved(pipeline, "retried") == 1
    with pipeline.database.read() as connection:
        told = connection.scalars(select(events.c.data).where(events.c.job_id == retried.job_id)).one()
    assert told["retryOf"] == str(failed)


def test_retrying_again_answers_the_same_job(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    first, second = retry(pipeline, failed), retry(pipeline, failed)
    assert second.job_id == first.job_id
    assert followers(pipeline) == [failed]
    assert len(audited(pipeline)) == resolved(pipeline, "retried") == 1


def test_a_double_click_retries_once(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    together = threading.Barrier(4)

    def click(_: int) -> UUID:
        together.wait(10)
        return retry(pipeline, failed).job_id

    with ThreadPoolExecutor(4) as pool:
        answered = set(pool.map(click, range(4)))
    assert len(answered) == 1
    assert followers(pipeline) == [failed]


def test_a_job_that_failed_again_is_retried_by_its_own_letter(pipeline: Pipeline) -> None:
    first = archive_one(pipeline.database)
    second = retry(pipeline, first).job_id
    pipeline.bodies[JobKind.PHASE1] = raising(BadAnswerError("no JSON"))
    pipeline.executor.run(second)
    assert retry(pipeline, first) == RetriedLetter(second, first, JobStatus.FAILED)
    third = retry(pipeline, second).job_id
    assert (pipeline.job(third).generation, pipeline.job(third).retry_of) == (3, second)


def test_the_retry_of_an_analysis_puts_its_plan_back_to_analyzing(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database, kind=JobKind.ANALYSIS)
    retry(pipeline, failed)
    assert pipeline.plan(plan_of(pipeline, failed)).status == PlanStatus.ANALYZING


def test_a_message_can_be_discarded_but_not_retried(pipeline: Pipeline) -> None:
    message = archive_unreadable(pipeline.database)
    with pytest.raises(ConflictError, match="message without a job"):
        retry(pipeline, message)
    assert discard(pipeline, message).status == LetterStatus.DISCARDED


def test_a_letter_whose_plan_has_its_tasks_is_not_retried(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    with pipeline.database.write() as connection:
        set_latch(connection, plan_of(pipeline, failed), uuid4())
    with pytest.raises(ConflictError, match="has its tasks"):
        retry(pipeline, failed)
    assert retry_many(pipeline).skipped == {SkipCause.PLAN_HAS_TASKS: 1}
    assert letter(pipeline, failed).status == LetterStatus.WAITING


def another_job(pipeline: Pipeline, failed: UUID) -> UUID:
    """Insert the job that a process of the version before creates when it recovers a plan."""
    row = pipeline.job(failed)
    with pipeline.database.write() as connection:
        return insert_job(
            connection,
            plan_id=row.plan_id,
            kind=JobKind(row.kind),
            total_seconds=120,
            grace_seconds=3,
            timeout_seconds=10,
            generation=2,
        )


def test_a_letter_whose_plan_has_an_open_job_is_not_retried(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    another_job(pipeline, failed)
    with pytest.raises(ConflictError, match="waits or runs"):
        retry(pipeline, failed)
    assert retry_many(pipeline).skipped == {SkipCause.JOB_OPEN: 1}


def test_an_analysis_whose_plan_has_moved_on_is_not_retried(pipeline: Pipeline) -> None:
    archive_one(pipeline.database, kind=JobKind.ANALYSIS)
    with pipeline.database.write() as connection:
        connection.execute(update(plans).values(status=PlanStatus.AWAITING_APPROVAL))
    assert retry_many(pipeline).skipped == {SkipCause.PLAN_MOVED_ON: 1}


def test_a_job_that_came_first_leaves_the_letter_and_the_transaction_as_they_were(pipeline: Pipeline) -> None:
    overtaken, other = archive_many(pipeline.database, 2)
    with pipeline.database.read() as connection:
        seen = [retry_candidate(connection, job_id) for job_id in (overtaken, other)]
    another_job(pipeline, overtaken)
    with pipeline.database.write() as connection:
        causes = [
            retry_letter(
                pipeline.database,
                connection,
                pipeline.settings,
                pipeline.metrics,
                candidate,
                by=OPERATOR,
                request_id=None,
                discarded_too=False,
            ).cause
            for candidate in seen
            if candidate is not None
        ]
    assert causes == [SkipCause.JOB_OPEN, None]
    assert letter(pipeline, overtaken).status == LetterStatus.WAITING
    assert letter(pipeline, other).status == LetterStatus.RETRIED


def test_a_letter_that_is_not_there_is_not_found(pipeline: Pipeline) -> None:
    for act in (retry, discard, letter):
        with pytest.raises(NotFoundError):
            act(pipeline, uuid4())


def test_discarding_keeps_the_letter_with_the_first_reason(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    discard(pipeline, failed, "a test order")
    archived = discard(pipeline, failed, "another reason")
    assert (archived.status, archived.resolved_by, archived.resolution_reason) == ("discarded", "otto", "a test order")
    assert audited(pipeline) == [("dead_letter.discard", str(failed), "a test order")]
    assert resolved(pipeline, "discarded") == 1


def test_a_retried_letter_cannot_be_discarded(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    retry(pipeline, failed)
    with pytest.raises(ConflictError, match="was retried"):
        discard(pipeline, failed)
    assert letter(pipeline, failed).status == LetterStatus.RETRIED


def test_a_discarded_letter_is_retried_by_its_id_only(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    discard(pipeline, failed)
    assert retry_many(pipeline).matched == 0
    assert retry(pipeline, failed).retry_of == failed
    assert letter(pipeline, failed).resolution_reason is None


def test_a_bulk_retry_does_what_its_dry_run_said(pipeline: Pipeline) -> None:
    failed = archive_many(pipeline.database, 1000)
    for job_id in failed[:3]:
        another_job(pipeline, job_id)
    archive_many(pipeline.database, 5, reason="bad_answer")
    archive_unreadable(pipeline.database)
    wanted = LetterFilter(error_class=ErrorClass.RECOVERABLE)

    foreseen = retry_many(pipeline, wanted, dry_run=True)
    assert (followers(pipeline), audited(pipeline)) == ([], [])
    done = retry_many(pipeline, wanted)

    assert (foreseen.matched, foreseen.retried, foreseen.jobs) == (1000, 997, [])
    assert (done.matched, done.retried, done.skipped) == (1000, 997, foreseen.skipped)
    assert [job_id for job_id, _ in done.jobs] == failed[3:]
    assert sorted(followers(pipeline)) == sorted(failed[3:])
    assert len(audited(pipeline)) == resolved(pipeline, "retried") == 997


def test_two_bulk_retries_at_once_retry_each_letter_once(pipeline: Pipeline) -> None:
    failed = archive_many(pipeline.database, 200)
    together = threading.Barrier(2)

    def click(_: int) -> BulkRetry:
        together.wait(10)
        return retry_many(pipeline)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(click, range(2)))
    assert sum(one.retried for one in done) == 200
    assert set().union(*(one.skipped for one in done)) <= {SkipCause.ALREADY_RETRIED}
    assert sorted(followers(pipeline)) == sorted(failed)


def test_a_limit_takes_the_oldest(pipeline: Pipeline) -> None:
    failed = archive_many(pipeline.database, 5)
    assert [job_id for job_id, _ in retry_many(pipeline, limit=2).jobs] == failed[:2]
    assert [job_id for job_id, _ in retry_many(pipeline, limit=2).jobs] == failed[2:4]


def test_the_jobs_of_a_bulk_retry_get_their_hints_from_the_sweeper(pipeline: Pipeline) -> None:
    pipeline.sweeper.dispatch()
    archive_many(pipeline.database, 3)
    retry_many(pipeline)
    assert pipeline.hints.waiting(QUEUES[JobKind.PHASE1]) == 0
    assert pipeline.sweeper.dispatch() == 3


def test_with_a_rate_the_jobs_become_due_one_after_the_other(pipeline: Pipeline) -> None:
    archive_many(pipeline.database, 20)
    retry_many(pipeline, limit=20, rate_per_second=0.5)
    with pipeline.database.read() as connection:
        due = connection.execute(
            select(jobs.c.available_at, jobs.c.next_dispatch_at, jobs.c.deadline_at).where(jobs.c.retry_of.is_not(None))
        ).all()
    times = sorted(row.available_at for row in due)
    # 38 s by the rate; what writing takes on a busy machine shifts single jobs.
    assert 30 < (times[-1] - times[0]).total_seconds() < 46
    assert len(set(times)) == 20
    # PostgreSQL reads its clock anew for each of the two.
    assert all(abs((row.next_dispatch_at - row.available_at).total_seconds()) < 0.1 for row in due)
    # Its time runs from when it is due.
    assert all(abs(row.deadline_at - row.available_at - timedelta(seconds=120)) < timedelta(seconds=1) for row in due)
    with pipeline.database.write() as connection:
        assert sweeps.clamp(connection, lease_seconds=12, clamp_seconds=pipeline.settings.clamp_seconds) == 0


def test_a_rate_at_which_a_job_would_wait_for_too_long_is_refused(pipeline: Pipeline) -> None:
    archive_one(pipeline.database)
    with pytest.raises(InvalidInputError) as refused:
        retry_many(pipeline, limit=1000, rate_per_second=16)
    assert refused.value.field == "ratePerSecond"
    assert followers(pipeline) == []
    assert retry_many(pipeline, limit=1000, rate_per_second=17).retried == 1


#: What the first revision has.
OLD_COLUMNS = ("id", "job_id", "plan_id", "kind", "reason", "error_message", "payload", "history", "archived_at")

WANTED = {
    "kind": LetterFilter(kind=JobKind.ANALYSIS),
    "reason": LetterFilter(reason="bad_answer"),
    "error_class": LetterFilter(error_class=ErrorClass.PERMANENT),
    "channel": LetterFilter(channel="shopee"),
    "since": LetterFilter(since_seconds=3600),
    "text": LetterFilter(text="JSON_"),
    "all_together": LetterFilter(kind=JobKind.ANALYSIS, reason="bad_answer", channel="shopee", text="json"),
}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_a_filter_finds_what_meets_its_conditions_and_nothing_else(pipeline: Pipeline, wanted: LetterFilter) -> None:
    archive_one(pipeline.database, age_seconds=7200, message="no JSON at all")
    found = archive_one(
        pipeline.database,
        kind=JobKind.ANALYSIS,
        reason="bad_answer",
        message="no Json_ in 100 %",
        channels=("amazon", "shopee"),
    )
    assert [job_id for job_id, _ in retry_many(pipeline, wanted).jobs] == [found]


def test_a_filter_finds_the_letters_of_a_plan(pipeline: Pipeline) -> None:
    _, wanted = archive_many(pipeline.database, 2)
    plan_id = plan_of(pipeline, wanted)
    assert [job_id for job_id, _ in retry_many(pipeline, LetterFilter(plan_id=plan_id)).jobs] == [wanted]


def test_the_pages_of_an_export_join(pipeline: Pipeline) -> None:
    failed = archive_many(pipeline.database, 401)
    pages = list(pipeline.dead_letters.every_page(LetterFilter()))
    assert [len(page) for page in pages] == [200, 200, 1]
    assert [row.job_id for page in pages for row in page] == failed[::-1]


def test_recovering_a_named_plan_retries_its_letter(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    (done,) = pipeline.recovery.recover([plan_of(pipeline, failed)], by=OPERATOR, request_id=None)
    assert done.action == RecoveryAction.RETRIED
    archived = letter(pipeline, failed)
    assert (archived.status, archived.retried_as, archived.resolved_by) == ("retried", done.job_id, "otto")
    assert retry(pipeline, failed).job_id == done.job_id
    assert resolved(pipeline, "retried") == 1


def test_a_letter_of_the_version_before_is_retried_like_any_other(pipeline: Pipeline) -> None:
    failed = archive_one(pipeline.database)
    with pipeline.database.write() as connection:
        row = connection.execute(select(dead_letters)).one()
        connection.execute(delete(dead_letters))
        connection.execute(insert(dead_letters).values({name: getattr(row, name) for name in OLD_COLUMNS}))
    assert letter(pipeline, failed).status == LetterStatus.WAITING
    assert retry(pipeline, failed).retry_of == failed
