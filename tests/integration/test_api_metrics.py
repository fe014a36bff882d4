from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from sqlalchemy import update

from app.domain.errors import BadAnswerError
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.domain.stuck_plans import StuckCause
from app.metrics import PIPELINE_METRICS
from app.storage.clock import now_plus
from app.storage.processes import show_process
from app.storage.schema import processes
from tests.api import Api, api_on
from tests.letters import archive_many, archive_one, archive_unreadable
from tests.pipeline import raising
from tests.scrape import METRICS_URL, names_of, samples, value
from tests.servers import free_port


def test_every_metric_of_the_table_is_told_from_the_start(api: Api) -> None:
    answer = api.get(METRICS_URL, None)
    families = {family.name for family in parse_text(answer.get_data(as_text=True))}
    ours = {name for name in families if not name.startswith("process_")}
    assert ours == {metric.name.removesuffix("_total") for metric in PIPELINE_METRICS}
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= families - ours
    assert answer.content_type.startswith("text/plain; version=0.0.4")


def test_openmetrics_is_told_to_whoever_asks_for_it(sqlite_api: Api) -> None:
    answer = sqlite_api.call(
        "GET", METRICS_URL, None, headers={"Accept": "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"}
    )
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(answer.get_data(as_text=True))} >= {"marketplace_redis_up"}


def test_queue_depths_are_those_of_the_database(api: Api) -> None:
    api.approved()
    _, failing = api.approved()
    _, running = api.approved()
    api.executor().run(running)
    api.executor(raising(BadAnswerError("no JSON"))).run(failing)
    api.call("POST", "/api/marketplace/analysis", json={"channels": ["amazon"]})

    found = samples(api)

    depths = {
        (state, queue): value(found, f"marketplace_queue_{state}_jobs", queue=queue)
        for state in ("pending", "active", "completed", "failed")
        for queue in ("phase1-tasks", "analysis")
    }
    assert depths == {
        ("pending", "phase1-tasks"): 1,
        ("active", "phase1-tasks"): 0,
        ("completed", "phase1-tasks"): 1,
        ("failed", "phase1-tasks"): 1,
        ("pending", "analysis"): 1,
        ("active", "analysis"): 0,
        ("completed", "analysis"): 0,
        ("failed", "analysis"): 0,
    }


def test_levels_do_not_depend_on_the_process_that_tells_them(api: Api) -> None:
    api.approved()
    other = api.beside()
    try:
        assert value(samples(other), "marketplace_queue_pending_jobs", queue="phase1-tasks") == 1
    finally:
        other.close()


def stuck(api: Api) -> dict[str, float]:
    """Return how many plans are stuck for each cause that there is; the others must be told as 0."""
    found = samples(api)
    counts = {cause: value(found, "marketplace_stuck_plans", cause=cause) for cause in StuckCause}
    return {cause: count for cause, count in counts.items() if count}


def test_a_plan_without_tasks_is_stuck_after_the_limit(api: Api) -> None:
    plan_id, _ = api.approved()
    assert stuck(api) == {}
    api.age(plan_id, seconds=api.settings.jobs.stuck_after_seconds + 1)
    assert stuck(api) == {"waiting": 1}


def test_a_plan_that_ended_as_a_dead_letter_is_not_stuck(api: Api) -> None:
    plan_id, job_id = api.approved()
    api.executor(raising(BadAnswerError("no JSON"))).run(job_id)
    api.age(plan_id, seconds=3600)
    assert stuck(api) == {}


def test_the_mode_and_paused_queues_are_told(api: Api) -> None:
    before = samples(api)
    assert (value(before, "marketplace_mode", mode="queue"), value(before, "marketplace_mode", mode="sync")) == (1, 0)
    assert value(before, "marketplace_queue_paused", queue="analysis") == 0
    api.call("PUT", "/api/marketplace/mode", json={"mode": "sync", "reason": "roll back"})
    api.call("POST", "/api/marketplace/queue/pause", json={"queue": "analysis", "reason": "roll back"})
    after = samples(api)
    assert (value(after, "marketplace_mode", mode="queue"), value(after, "marketplace_mode", mode="sync")) == (0, 1)
    assert value(after, "marketplace_queue_paused", queue="analysis") == 1
    assert value(after, "marketplace_queue_paused", queue="phase1-tasks") == 0


def test_dead_letters_are_told_until_somebody_has_decided_on_them(api: Api) -> None:
    timed_out, discarded = archive_many(api.runtime.database, 2)
    archive_one(api.runtime.database, kind=JobKind.ANALYSIS, reason="bad_answer")
    archive_unreadable(api.runtime.database)
    api.call("DELETE", f"/api/marketplace/dead-letters/{discarded}?reason=a+test")

    def waiting(found: dict[tuple[str, tuple[tuple[str, str], ...]], float]) -> dict[tuple[str, str], float]:
        return {
            (dict(labels)["kind"], dict(labels)["error_class"]): count
            for (name, labels), count in found.items()
            if name == "marketplace_dead_letters" and count
        }

    found = samples(api)
    assert waiting(found) == {("phase1", "recoverable"): 1, ("analysis", "permanent"): 1, ("none", "message"): 1}
    api.call("POST", f"/api/marketplace/dead-letters/{timed_out}/retry")
    found = samples(api)
    assert waiting(found) == {("analysis", "permanent"): 1, ("none", "message"): 1}
    assert value(found, "marketplace_dead_letters_resolved_total", outcome="retried") == 1
    assert value(found, "marketplace_dead_letters_resolved_total", outcome="discarded") == 1


def test_processes_that_have_shown_themselves_lately_are_told_by_role(api: Api) -> None:
    with api.runtime.database.write() as connection:
        show_process(api.runtime.database, connection, "worker@host:2:cd", ProcessRole.WORKER)
        show_process(api.runtime.database, connection, "scheduler@host:3:ef", ProcessRole.SCHEDULER)
        gone = processes.c.owner == "scheduler@host:3:ef"
        connection.execute(update(processes).where(gone).values(seen_at=now_plus(-api.settings.jobs.lease_seconds - 1)))
    found = samples(api)
    told = {role: value(found, "marketplace_processes", role=role) for role in ProcessRole}
    assert told == {"web": 0, "worker": 2, "quarantine": 0, "scheduler": 1}


def test_a_database_that_answers_is_up(api: Api) -> None:
    assert value(samples(api), "marketplace_database_up") == 1


def test_the_version_that_runs_is_told(sqlite_api: Api) -> None:
    assert value(samples(sqlite_api), "marketplace_build_info", version=version("marketplace-resilience")) == 1


def test_redis_tells_its_connections_and_memory(sqlite_api: Api) -> None:
    found = samples(sqlite_api)
    assert value(found, "marketplace_redis_up") == 1
    assert value(found, "marketplace_redis_connected_clients") >= 1
    assert value(found, "marketplace_redis_memory_bytes") > 100_000


def test_what_redis_cannot_tell_is_left_out(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        found = samples(api)
        assert value(found, "marketplace_redis_up") == 0
        assert not {"marketplace_redis_connected_clients", "marketplace_redis_memory_bytes"} & names_of(found)
        assert "marketplace_queue_pending_jobs" in names_of(found)


def test_what_the_database_cannot_tell_is_left_out(sqlite_template: Path, tmp_path: Path, redis_url: str) -> None:
    with api_on(redis_url, sqlite_template, tmp_path) as api:
        api.lose_database()
        found = samples(api)
        unknown = {"marketplace_queue_pending_jobs", "marketplace_stuck_plans", "marketplace_mode"}
        assert value(found, "marketplace_database_up") == 0
        assert not unknown & names_of(found)
        assert value(found, "marketplace_redis_up") == 1


def test_requests_are_counted_by_method_and_status(sqlite_api: Api) -> None:
    sqlite_api.get("/api/marketplace/jobs")
    sqlite_api.get("/api/marketplace/jobs?limit=0")
    sqlite_api.call("PURGE", "/api/marketplace/jobs")
    found = samples(sqlite_api)
    name = "marketplace_http_request_duration_seconds_count"
    assert value(found, name, method="GET", status="2xx") == 1
    assert value(found, name, method="GET", status="4xx") == 1
    assert value(found, name, method="other", status="4xx") == 1
