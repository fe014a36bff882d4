"""Worker processes as they are started, stopped, killed, and as they end themselves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import requests
from sqlalchemy import select

from app.domain.jobs import JobStatus
from app.domain.processes import ProcessRole
from app.pulse import Pulse
from app.settings import JobSettings
from app.storage.database import Database
from app.storage.processes import is_running
from app.storage.schema import dead_letters, jobs
from tests.lethal_worker import ENDS_THE_THREADS, KILLS_ITS_PROCESS
from tests.pipeline import APPROVER, PLAN, Pipeline
from tests.servers import ended, free_port, wait_until
from tests.web_process import environment
from tests.workers import ends
from worker.chores import Chore, do_chores

pytestmark = pytest.mark.process

#: Long enough for a busy machine to renew a lease in time; the process that takes a dead one's place notices it sooner.
SETTINGS = JobSettings(lease_seconds=6.0, beat_seconds=0.5, grace_seconds=0.5, redispatch_seconds=2.0)


class Workers:
    """Starts worker processes on the pipeline of a test."""

    def __init__(self, pipeline: Pipeline, database_url: str, directory: Path) -> None:
        self._log = directory / "workers.log"
        self._environment = environment(
            DATABASE_URL=database_url,
            REDIS_URL=pipeline.redis_url,
            MARKETPLACE_REDIS__NAMESPACE=pipeline.redis_settings.namespace,
            MARKETPLACE_PROCESS__DIRECTORY=str(directory / "processes"),
            MARKETPLACE_JOBS__LEASE_SECONDS=str(SETTINGS.lease_seconds),
            MARKETPLACE_JOBS__BEAT_SECONDS=str(SETTINGS.beat_seconds),
        )

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.lethal_worker", *arguments],
                cwd=Path(__file__).parents[2],
                env=self._environment | settings,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def pipeline(database: Database, redis_url: str) -> Iterator[Pipeline]:
    pipeline = Pipeline(database, redis_url, SETTINGS)
    yield pipeline
    pipeline.close()


@pytest.fixture
def workers(pipeline: Pipeline, database_url: str, tmp_path: Path) -> Workers:
    return Workers(pipeline, database_url, tmp_path)


def approved(pipeline: Pipeline, title: str) -> UUID:
    plan_id = pipeline.analyses.import_plan(
        title=title, channels=["amazon"], plan_data=PLAN, by=APPROVER, request_id=None
    )
    return pipeline.approvals.approve(plan_id, by=APPROVER, request_id=None).job_id


@contextmanager
def kept_running(*starts: Callable[[], subprocess.Popen[bytes]]) -> Iterator[None]:
    """Start these processes, and each one again when it has died."""
    stop = threading.Event()

    def keep(start: Callable[[], subprocess.Popen[bytes]]) -> None:
        while not stop.is_set():
            with ended(start()) as process:
                while process.poll() is None and not stop.is_set():
                    stop.wait(0.1)

    threads = [threading.Thread(target=keep, args=(start,)) for start in starts]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join(30)


@contextmanager
def sweeping(pipeline: Pipeline) -> Iterator[None]:
    stop = threading.Event()
    chores = [Chore("reap", 0.2, pipeline.sweeper.reap), Chore("dispatch", 0.1, pipeline.sweeper.dispatch)]
    thread = threading.Thread(
        target=do_chores, args=(chores, stop, pipeline.metrics), kwargs={"place": "sweeper", "pulse": Pulse(60)}
    )
    thread.start()
    yield
    stop.set()
    thread.join(30)


def quarantine_runs(pipeline: Pipeline) -> bool:
    with pipeline.database.read() as connection:
        return is_running(connection, ProcessRole.QUARANTINE, within_seconds=5)


@pytest.mark.timeout(300)  # five process starts and four leases, on a machine that may be busy
def test_one_job_that_kills_its_process_fails_alone_among_40_healthy_ones(pipeline: Pipeline, workers: Workers) -> None:
    with kept_running(workers.start, lambda: workers.start("--quarantine")), sweeping(pipeline):
        wait_until(lambda: quarantine_runs(pipeline), seconds=60, what="the quarantine worker")
        healthy = [approved(pipeline, "healthy") for _ in range(20)]
        lethal = approved(pipeline, KILLS_ITS_PROCESS)
        healthy += [approved(pipeline, "healthy") for _ in range(20)]
        ends(pipeline, lethal, JobStatus.FAILED, seconds=90)
        for job_id in healthy:
            ends(pipeline, job_id)
    with pipeline.database.read() as connection:
        letters = connection.execute(select(dead_letters.c.job_id, dead_letters.c.reason)).all()
        neighbours = connection.scalars(select(jobs.c.crash_count).where(jobs.c.job_id != lethal)).all()
    assert letters == [(lethal, "crash_limit")]
    # It took its neighbours along twice at most, and then nobody any more.
    assert max(neighbours) <= 2
    assert [attempt.worker.partition("@")[0] for attempt in pipeline.attempts(lethal)] == [
        "worker",
        "quarantine",
        "quarantine",
        "quarantine",
    ]
    assert all(len(pipeline.tasks(pipeline.job(job_id).plan_id)) == 3 for job_id in healthy)


def test_a_worker_whose_threads_have_died_gives_its_jobs_back_and_ends(pipeline: Pipeline, workers: Workers) -> None:
    port = free_port()
    job_id = approved(pipeline, ENDS_THE_THREADS)
    settings = {"MARKETPLACE_WORKER__METRICS_PORT": str(port), "MARKETPLACE_WORKER__POLL_MILLISECONDS": "100"}
    with ended(workers.start(**settings)) as process:
        ends(pipeline, job_id, JobStatus.ACTIVE)

        def told() -> bool:
            answer = requests.get(f"http://127.0.0.1:{port}/live", timeout=10)
            return answer.status_code == 503 and "of 8 threads are dead" in answer.json()["problems"][0]

        wait_until(told, what="the death to be told")
        assert process.wait(30) == 70
    row = pipeline.job(job_id)
    assert (row.status, row.crash_count) == (JobStatus.PENDING, 0)
    assert [attempt.outcome for attempt in pipeline.attempts(job_id)] == ["released"]
    assert "worker_gave_up" in workers.log()


def test_a_worker_is_alive_until_it_is_told_to_stop(pipeline: Pipeline, workers: Workers) -> None:
    port = free_port()
    with ended(workers.start(MARKETPLACE_WORKER__METRICS_PORT=str(port))) as process:
        ends(pipeline, approved(pipeline, "healthy"))
        live = requests.get(f"http://127.0.0.1:{port}/live", timeout=10)
        assert (live.status_code, live.json()) == (200, {"status": "alive", "problems": []})
        assert "marketplace_dead_messages_total" in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "process_unwell" not in workers.log()
