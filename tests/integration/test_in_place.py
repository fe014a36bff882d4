"""Approvals whose job runs in place: Redis does not take its hint, or an operator wants it so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from app.domain.controls import MODE, Mode, QueueState, queue_control
from app.domain.errors import BadAnswerError, NetworkError
from app.domain.jobs import QUEUES, JobKind
from app.job_execution import JobBody
from app.settings import WebSettings
from app.storage.controls import set_control
from app.storage.schema import events, tasks
from tests.api import Api
from tests.pipeline import Held, raising
from tests.redis_states import STATES, frozen, redis_that_is
from tests.servers import free_port, running_valkey, wait_until

JOBS = "/api/marketplace/jobs"

#: An answer waits for its job for as long as a busy machine may need.
PATIENT = WebSettings(in_place_wait_seconds=10, rate_limit_per_minute=1000)
#: The same, and its hint is the first thing that is asked of Redis.
UNLIMITED = WebSettings(in_place_wait_seconds=10, rate_limit_per_minute=0)


@pytest.fixture
def cut_off(database_url: str) -> Iterator[Api]:
    """Return the application without any Redis."""
    api = Api(database_url, f"redis://127.0.0.1:{free_port()}/0", web=PATIENT)
    yield api
    api.close()


def switch(api: Api, name: str, value: str) -> None:
    with api.runtime.database.write() as connection:
        set_control(api.runtime.database, connection, name, value, actor="ana", reason=None)


def let_bodies_be(api: Api, body: JobBody) -> None:
    """Replace what Phase 1 jobs do."""
    bodies = api.runtime.executor._bodies
    assert isinstance(bodies, dict)
    bodies[JobKind.PHASE1] = body


def task_ids(api: Api, plan_id: UUID) -> list[str]:
    with api.runtime.database.read() as connection:
        found = connection.scalars(select(tasks.c.id).where(tasks.c.plan_id == plan_id).order_by(tasks.c.position))
        return [str(task) for task in found]


@pytest.mark.parametrize("state", STATES)
def test_whatever_state_redis_is_in_an_approval_ends_with_its_tasks(
    state: str, database_url: str, tmp_path: Path
) -> None:
    with redis_that_is(state, tmp_path / "valkey") as url, closing(Api(database_url, url, web=PATIENT)) as api:
        plan_id = api.imported()
        started = time.monotonic()
        answer = api.decide(plan_id, action="approve")
        seconds = time.monotonic() - started
        job = api.get(f"{JOBS}/{answer.get_json()['jobId']}").get_json()
        created = task_ids(api, plan_id)
    assert (answer.status_code, answer.get_json()) == (
        200,
        {
            "status": "completed",
            "jobId": job["jobId"],
            "pollUrl": f"{JOBS}/{job['jobId']}",
            "mode": "sync",
            "taskIds": created,
        },
    )
    assert len(created) == 3
    assert [(attempt["via"], attempt["outcome"]) for attempt in job["attempts"]] == [("sync", "completed")]
    assert job["attempts"][0]["worker"].startswith("web@")
    # Far more than it takes; how much that is, `make approve-states` measures.
    assert seconds < 5


def test_a_job_in_place_has_the_events_of_every_job(cut_off: Api) -> None:
    _, job_id = cut_off.approved()
    with cut_off.runtime.database.read() as connection:
        found = connection.execute(select(events.c.type, events.c.data).where(events.c.job_id == job_id)).all()
    data = {row.type: row.data for row in found}
    assert set(data) == {"job:enqueued", "job:active", "job:completed"}
    assert data["job:active"]["via"] == "sync"


def test_a_hint_that_arrives_late_changes_nothing(database_url: str, tmp_path: Path) -> None:
    with running_valkey(tmp_path) as url:
        api = Api(database_url, url, web=UNLIMITED)
        api.approved()  # so that its connection is there
        plan_id = api.imported()
        with frozen(url):
            answer = api.decide(plan_id, action="approve").get_json()
        waiting = partial(api.runtime.redis.llen, f"{api.settings.redis.namespace}:{QUEUES[JobKind.PHASE1]}")
        wait_until(lambda: waiting() == 2, what="the late hint")
        assert api.executor().run(UUID(answer["jobId"])) == "not_claimed"
        assert task_ids(api, plan_id) == answer["taskIds"]
        api.close()


def test_when_redis_is_back_even_empty_approvals_are_queued_again(database_url: str, tmp_path: Path) -> None:
    server = partial(running_valkey, port=free_port(), password="of-this-test")
    with server(tmp_path / "first") as url:
        api = Api(database_url, url, web=PATIENT)
        assert api.decide(api.imported(), action="approve").get_json()["mode"] == "queue"
    assert api.decide(api.imported(), action="approve").get_json()["mode"] == "sync"
    with server(tmp_path / "second"):
        wait_until(
            lambda: api.decide(api.imported(), action="approve").get_json()["mode"] == "queue", what="mode queue"
        )
        api.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (MODE, Mode.SYNC),
        (queue_control(JobKind.PHASE1), QueueState.DRAINING),
        (queue_control(JobKind.PHASE1), QueueState.DRAINED),
    ],
    ids=["sync", "draining", "drained"],
)
def test_an_operator_can_have_jobs_run_in_place_and_no_hint_is_sent(api: Api, name: str, value: str) -> None:
    switch(api, name, value)
    answer = api.decide(api.imported(), action="approve")
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["mode"]) == (200, "completed", "sync")
    assert api.runtime.hints.waiting(QUEUES[JobKind.PHASE1]) == 0


def test_a_paused_queue_stops_runs_in_place_that_nobody_ordered(cut_off: Api) -> None:
    switch(cut_off, queue_control(JobKind.PHASE1), QueueState.PAUSED)
    answer = cut_off.decide(cut_off.imported(), action="approve")
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["mode"]) == (202, "pending", "queue")
    switch(cut_off, MODE, Mode.SYNC)
    answer = cut_off.decide(cut_off.imported(), action="approve")
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["mode"]) == (200, "completed", "sync")


def test_approving_again_answers_the_same_job_and_its_tasks(cut_off: Api) -> None:
    plan_id = cut_off.imported()
    first, again = (cut_off.decide(plan_id, action="approve") for _ in range(2))
    assert (again.status_code, again.get_json()) == (first.status_code, first.get_json())
    assert again.status_code == 200


def test_an_answer_does_not_wait_for_a_slow_job_which_goes_on(database_url: str) -> None:
    held = Held()
    # Late enough for a busy machine to have begun the job.
    web = WebSettings(in_place_wait_seconds=2)
    api = Api(database_url, f"redis://127.0.0.1:{free_port()}/0", web=web)
    let_bodies_be(api, held)
    plan_id = api.imported()
    answer = api.decide(plan_id, action="approve")
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["mode"]) == (202, "active", "sync")
    assert "taskIds" not in answer.get_json()
    held.let_go()
    wait_until(lambda: api.decide(plan_id, action="approve").get_json()["status"] == "completed", what="the job")
    api.close()


def test_a_job_that_fails_in_place_for_a_while_is_answered_as_pending(cut_off: Api) -> None:
    let_bodies_be(cut_off, raising(NetworkError("reset")))
    answer = cut_off.decide(cut_off.imported(), action="approve")
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["mode"]) == (202, "pending", "sync")


def test_a_job_that_fails_in_place_for_good_is_answered_as_failed(cut_off: Api) -> None:
    let_bodies_be(cut_off, raising(BadAnswerError("no JSON")))
    plan_id = cut_off.imported()
    for answer in (cut_off.decide(plan_id, action="approve") for _ in range(2)):
        assert answer.status_code == 200
        assert (answer.get_json()["status"], answer.get_json()["taskIds"]) == ("failed", [])


def test_jobs_beyond_the_limit_wait_for_somebody_else(database_url: str, redis_url: str) -> None:
    held = Held()
    api = Api(database_url, redis_url, web=WebSettings(in_place_runs=2))
    let_bodies_be(api, held)
    switch(api, MODE, Mode.SYNC)
    plan_ids = [api.imported() for _ in range(3)]
    with ThreadPoolExecutor(2) as callers:
        running = [callers.submit(api.decide, plan_id, action="approve") for plan_id in plan_ids[:2]]
        wait_until(lambda: api.runtime.in_place.running == 2, what="two runs")
        beyond = api.decide(plan_ids[2], action="approve")
        held.let_go()
        assert [answer.result(30).status_code for answer in running] == [200, 200]
    assert (beyond.status_code, beyond.get_json()["status"], beyond.get_json()["mode"]) == (202, "pending", "queue")
    assert api.runtime.hints.waiting(QUEUES[JobKind.PHASE1]) == 1
    api.close()


def test_an_analysis_is_never_run_in_place(cut_off: Api) -> None:
    switch(cut_off, MODE, Mode.SYNC)
    answer = cut_off.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]})
    assert answer.status_code == 202
    job = cut_off.get(answer.get_json()["pollUrl"]).get_json()
    assert (job["status"], job["attempts"]) == ("pending", [])


def test_a_process_that_stops_gives_its_jobs_back_and_answers_whoever_waits(database_url: str, redis_url: str) -> None:
    held = Held()
    api = Api(database_url, redis_url)
    let_bodies_be(api, held)
    switch(api, MODE, Mode.SYNC)
    plan_id = api.imported()
    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(api.decide, plan_id, action="approve")
        wait_until(api.runtime.heartbeat.held, what="the run")
        assert api.runtime.in_place.stop(grace_seconds=0.01) == 1
        answer = waiting.result(10)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    beyond = api.decide(api.imported(), action="approve")
    assert (beyond.status_code, beyond.get_json()["mode"]) == (202, "queue")
    held.let_go()
    wait_until(lambda: not api.runtime.in_place.running, what="the end of the run")
    job = api.get(f"{JOBS}/{answer.get_json()['jobId']}").get_json()
    assert (job["status"], [attempt["outcome"] for attempt in job["attempts"]]) == ("pending", ["released"])
    api.close()
