"""What every request and answer has in common: ids, headers, logs, limits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from app.api import jobs as jobs_module
from app.domain.roles import Role
from app.settings import WebSettings
from tests.api import Api, api_on, problem_of, server_process
from tests.servers import free_port, running_valkey, wait_until

JOBS = "/api/marketplace/jobs"
LIMITS = WebSettings(rate_limit_per_minute=5, rate_limit_auth_failures_per_minute=3)


@pytest.fixture
def limited(sqlite_template: Path, redis_url: str, tmp_path: Path) -> Iterator[Api]:
    """Return an application that allows 5 calls of a token and 3 failures of an address in a minute."""
    with api_on(redis_url, sqlite_template, tmp_path, web=LIMITS) as api:
        yield api


def statuses(api: Api, times: int, role: Role | None = Role.VIEWER) -> list[int]:
    """Return the statuses of the same call, made again and again."""
    return [api.get(JOBS, role).status_code for _ in range(times)]


def test_a_request_id_is_made_and_returned(sqlite_api: Api) -> None:
    first, second = (sqlite_api.get(JOBS).headers["X-Request-Id"] for _ in range(2))
    assert first != second
    assert len(first) == 32


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("order-7.a_B", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("a b", False),
        ("a\x1b[31m", False),
        ("<b>", False),
    ],
)
def test_a_request_id_of_the_caller_is_kept_when_it_is_safe(sqlite_api: Api, given: str, kept: bool) -> None:  # noqa: FBT001 -- a column of the table
    answer = sqlite_api.call("GET", JOBS, headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is kept


def test_every_answer_forbids_guessing_framing_and_keeping(sqlite_api: Api) -> None:
    for answer in (sqlite_api.get(JOBS), sqlite_api.get("/nowhere"), sqlite_api.get("/api/health/live")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_end_of_a_request_is_logged_by_its_route(sqlite_api: Api) -> None:
    plan_id = sqlite_api.imported()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        sqlite_api.call("GET", f"/api/marketplace/analysis/{plan_id}?token=secret", headers={"X-Request-Id": "r-1"})
    (entry,) = [entry for entry in logs if entry["event"] == "request_ended"]
    assert (entry["method"], entry["status"], entry["request_id"]) == ("GET", 422, "r-1")
    assert (entry["route"], entry["caller"]) == ("/api/marketplace/analysis/<plan_id>", "admin")
    assert 0 < entry["seconds"] < 60
    assert "secret" not in repr(logs)
    assert sqlite_api.tokens[Role.ADMIN] not in repr(logs)


def test_a_defect_is_a_problem_without_its_words_and_is_logged_and_counted(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("password=secret")

    monkeypatch.setattr(jobs_module, "job_by_id", fail)
    with structlog.testing.capture_logs() as logs:
        answer = sqlite_api.get(f"{JOBS}/{sqlite_api.approved()[1]}")
    assert (answer.status_code, problem_of(answer)["code"]) == (500, "internal_error")
    assert "secret" not in answer.get_data(as_text=True)
    assert [entry["log_level"] for entry in logs if entry["event"] == "request_raised"] == ["error"]
    errors = sqlite_api.runtime.metrics.registry.get_sample_value(
        "marketplace_unexpected_errors_total", {"place": "api"}
    )
    assert errors == 1


def test_a_wrong_method_tells_the_right_ones(sqlite_api: Api) -> None:
    answer = sqlite_api.call("PUT", JOBS)
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_a_token_may_call_so_often_and_no_more(limited: Api) -> None:
    assert statuses(limited, 6) == [200] * 5 + [429]
    answer = limited.get(JOBS)
    assert problem_of(answer)["code"] == "rate_limited"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_the_limit_of_one_token_is_not_that_of_another(limited: Api) -> None:
    statuses(limited, 6)
    assert statuses(limited, 1, Role.APPROVER) == [200]


def test_the_limit_holds_over_all_processes(limited: Api) -> None:
    other = limited.beside()
    try:
        statuses(limited, 4)
        assert statuses(other, 2) == [200, 429]
    finally:
        other.close()


def test_health_and_metrics_are_not_limited(limited: Api) -> None:
    statuses(limited, 6)
    assert {limited.get(path, None).status_code for path in ("/api/health/live", "/api/metrics") * 10} == {200}


def test_an_address_may_fail_to_authenticate_so_often(limited: Api) -> None:
    assert statuses(limited, 5, None) == [401] * 3 + [429] * 2


def test_failures_of_others_at_the_same_address_do_not_shut_a_valid_token_out(limited: Api) -> None:
    statuses(limited, 5, None)
    assert statuses(limited, 1) == [200]


def test_without_redis_the_limits_hold_within_the_process(sqlite_template: Path, tmp_path: Path) -> None:
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path, web=LIMITS) as api:
        assert statuses(api, 6) == [200] * 5 + [429]
        assert statuses(api, 4, None) == [401] * 3 + [429]


def test_of_calls_that_meet_an_outage_at_once_each_one_is_counted(sqlite_template: Path, tmp_path: Path) -> None:
    with (
        api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path, web=LIMITS) as api,
        ThreadPoolExecutor(12) as callers,
    ):
        found = list(callers.map(lambda _: api.get(JOBS).status_code, range(12)))
    assert sorted(found) == [200] * 5 + [429] * 7


def test_a_frozen_redis_holds_no_call_up_for_long_and_is_used_again_when_it_is_back(
    sqlite_template: Path, tmp_path: Path
) -> None:
    web = WebSettings(rate_limit_per_minute=1000)
    with running_valkey(tmp_path / "valkey") as url, api_on(url, sqlite_template, tmp_path, web=web) as api:
        assert statuses(api, 1) == [200]
        redis = api.runtime.redis
        process = server_process(api)
        os.kill(process, signal.SIGSTOP)
        try:
            started = time.monotonic()
            assert statuses(api, 20) == [200] * 20
            assert time.monotonic() - started < 5
        finally:
            os.kill(process, signal.SIGCONT)
        wait_until(redis.flushall, what="Redis")
        wait_until(lambda: statuses(api, 1) == [200] and redis.keys("*:limits:*"), what="a limit in Redis")
