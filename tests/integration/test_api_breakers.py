"""What operators see of circuits and do with them, over the API: on both databases, with a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.breakers.breakers import Breakers
from app.domain.agent_timeouts import AgentCall
from app.domain.breaker import CircuitState
from app.domain.errors import CircuitOpenError, NetworkError, RemoteServerError
from app.domain.roles import Role
from app.metrics import AGENT_ERROR_RATE
from app.storage.agent_calls import insert_calls
from app.storage.clock import now_plus
from app.storage.schema import agent_calls, audit_log, breaker_transitions
from tests.api import Api, api_on, fields_of, problem_of
from tests.servers import free_port, wait_until

BREAKERS = "/api/marketplace/breakers"
DIAGNOSTICS = "/api/marketplace/diagnostics"
WEEK_SECONDS = 7 * 86_400


@pytest.fixture
def following(api: Api) -> Api:
    """Return the application once it follows Redis, as every process does."""
    return in_touch(api)


@pytest.fixture
def beside(following: Api) -> Iterator[Api]:
    """Return the application of another process of the same stack."""
    other = following.beside()
    yield in_touch(other)
    other.close()


@pytest.fixture
def alone(sqlite_template: Path, tmp_path: Path) -> Iterator[Api]:
    """Return the application where there is no Redis."""
    with api_on(f"redis://127.0.0.1:{free_port()}/0", sqlite_template, tmp_path) as api:
        yield api


def in_touch(api: Api) -> Api:
    breakers = api.runtime.breakers
    breakers.start()
    wait_until(lambda: breakers.in_touch, what="the circuits to be shared")
    return api


def shown(api: Api, agent: str = "amazon", query: str = "") -> dict[str, Any]:
    answer = api.get(f"{BREAKERS}/{agent}{query}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    return found


def moved(api: Api, verb: str, agent: str = "amazon", **body: object) -> dict[str, Any]:
    answer = api.call("POST", f"{BREAKERS}/{agent}/{verb}", json={"reason": f"to {verb}", **body})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    return found


def fail(breakers: Breakers, error: Exception, *, times: int, agent: str = "amazon") -> None:
    """Let calls to an agent fail."""
    for _ in range(times):
        with pytest.raises(type(error)), breakers.call(agent, 30.0):
            raise error


def is_refused(api: Api, agent: str = "amazon") -> bool:
    try:
        with api.runtime.breakers.call(agent, 30.0):
            return False
    except CircuitOpenError:
        return True


def rows(api: Api) -> list[Any]:
    """Return what stands in the history and in the audit log of circuits."""
    with api.runtime.database.read() as connection:
        return [
            *connection.execute(select(breaker_transitions)),
            *connection.execute(select(audit_log).where(audit_log.c.target_type == "breaker")),
        ]


def seconds_from_now(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


def advice(diagnosis: Mapping[str, Any]) -> dict[str, str]:
    return {found["issue"]: found["severity"] for found in diagnosis["recommendations"]}


def test_at_first_every_circuit_is_closed(following: Api) -> None:
    circuits = following.get(BREAKERS).get_json()["items"]
    assert [circuit["agent"] for circuit in circuits] == ["amazon", "shopee"]
    assert circuits[0] == {
        "agent": "amazon",
        "state": "closed",
        "shared": True,
        "failures": 0,
        "failureThreshold": 5,
        "successes": 0,
        "successThreshold": 2,
        "probes": 0,
        "halfOpenProbes": 2,
        "openSeconds": 60,
        "secondsUntilRetry": 0,
        "retryAt": None,
        "held": None,
        "sickSince": None,
        "lastError": None,
        "calls": 0,
        "errorRate": None,
        "transitionsLastHour": 0,
    }


def test_a_circuit_that_failures_have_opened_tells_when_and_why(following: Api, beside: Api) -> None:
    fail(following.runtime.breakers, RemoteServerError("HTTP 500"), times=5)
    wait_until(lambda: shown(beside)["state"] == "open", what="the other process to hear of it")
    wait_until(lambda: shown(beside)["transitionsLastHour"] == 1, what="the change to be written")
    found = shown(beside)
    assert 50 < found["secondsUntilRetry"] <= 60
    assert found["secondsUntilRetry"] == pytest.approx(seconds_from_now(found["retryAt"]), abs=5)
    assert -10 < seconds_from_now(found["sickSince"]) < 1
    assert found["lastError"] == {"code": "server_error", "errorClass": "recoverable", "message": "HTTP 500"}
    assert found["held"] is None
    (change,) = found["history"]
    assert (change["fromState"], change["toState"], change["cause"]) == ("closed", "open", "failures")
    assert (change["seconds"], change["by"], change["error"]["code"]) == (60, None, "server_error")
    assert [circuit["state"] for circuit in beside.get(BREAKERS).get_json()["items"]] == ["open", "closed"]


def test_a_closed_circuit_tells_the_failures_that_it_has_counted(following: Api) -> None:
    fail(following.runtime.breakers, NetworkError("reset"), times=3)
    found = shown(following)
    assert (found["state"], found["failures"], found["lastError"]["code"]) == ("closed", 3, "network")


def test_a_circuit_that_is_opened_by_hand_is_open_in_every_process(following: Api, beside: Api) -> None:
    opened = moved(following, "open", seconds=600, reason=" they migrate ")
    assert (opened["state"], opened["held"]["by"], opened["held"]["reason"]) == ("open", "admin", "they migrate")
    assert opened["retryAt"] == opened["held"]["until"]
    assert 590 < seconds_from_now(opened["held"]["until"]) < 610
    wait_until(lambda: is_refused(beside), what="the other process to refuse calls")
    assert not is_refused(beside, "shopee")
    assert shown(beside)["held"]["by"] == "admin"


def test_a_circuit_that_is_held_closed_does_not_open(following: Api) -> None:
    closed = moved(following, "close", seconds=300)
    assert (closed["state"], closed["retryAt"], closed["held"]["reason"]) == ("closed", None, "to close")
    assert 290 < closed["held"]["secondsLeft"] <= 300
    fail(following.runtime.breakers, NetworkError("reset"), times=20)
    assert shown(following)["state"] == "closed"


def test_a_circuit_is_held_closed_for_as_long_as_it_stays_open_when_no_time_is_given(following: Api) -> None:
    assert 50 < moved(following, "close")["held"]["secondsLeft"] <= 60


def test_a_reset_closes_a_circuit_and_forgets(following: Api, beside: Api) -> None:
    fail(following.runtime.breakers, RemoteServerError("HTTP 500"), times=5)
    reset = moved(beside, "reset")
    assert (reset["state"], reset["lastError"], reset["sickSince"], reset["held"]) == ("closed", None, None, None)
    wait_until(lambda: not is_refused(following), what="the other process to let calls pass")
    # It counts from 0.
    fail(following.runtime.breakers, RemoteServerError("HTTP 500"), times=4)
    assert not is_refused(following)


def test_every_move_by_hand_is_in_the_history_and_in_the_audit_log(following: Api) -> None:
    for verb, body in (("open", {"seconds": 30}), ("close", {"seconds": 20}), ("reset", {})):
        following.call(
            "POST",
            f"{BREAKERS}/amazon/{verb}",
            json={"reason": f"to {verb}", **body},
            headers={"X-Request-Id": f"r-{verb}"},
        )
    history = shown(following)["history"]
    assert [(change["toState"], change["seconds"], change["by"], change["reason"]) for change in history] == [
        ("closed", None, "admin", "to reset"),
        ("closed", 20, "admin", "to close"),
        ("open", 30, "admin", "to open"),
    ]
    assert {change["cause"] for change in history} == {"operator"}
    with following.runtime.database.read() as connection:
        audited = connection.execute(select(audit_log).where(audit_log.c.target_type == "breaker")).all()
    assert sorted((r.actor, r.action, r.target_id, r.reason, r.details, r.request_id) for r in audited) == [
        ("admin", "breaker.close", "amazon", "to close", {"seconds": 20}, "r-close"),
        ("admin", "breaker.open", "amazon", "to open", {"seconds": 30}, "r-open"),
        ("admin", "breaker.reset", "amazon", "to reset", None, "r-reset"),
    ]


def test_the_history_is_as_long_as_it_is_asked_for(following: Api) -> None:
    for _ in range(3):
        moved(following, "reset")
    assert len(shown(following, query="?limit=2")["history"]) == 2
    assert shown(following)["transitionsLastHour"] == 3
    assert fields_of(following.get(f"{BREAKERS}/amazon?limit=0")) == ["limit"]


def test_without_redis_nothing_is_moved_and_nothing_is_written(alone: Api) -> None:
    before = alone.digest()
    for verb, body in (("open", {"seconds": 30}), ("close", {}), ("reset", {})):
        answer = alone.call("POST", f"{BREAKERS}/amazon/{verb}", json={"reason": "try", **body})
        assert (answer.status_code, problem_of(answer)["code"]) == (503, "redis_unavailable")
    assert (shown(alone)["state"], rows(alone)) == ("closed", [])
    assert alone.digest() == before


def test_without_redis_a_circuit_says_that_it_is_not_shared(alone: Api) -> None:
    fail(alone.runtime.breakers, NetworkError("reset"), times=5)
    found = shown(alone)
    assert (found["state"], found["shared"]) == ("open", False)


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("open", {"reason": "r"}, "seconds"),
        ("open", {"seconds": 0.9, "reason": "r"}, "seconds"),
        ("open", {"seconds": WEEK_SECONDS + 1, "reason": "r"}, "seconds"),
        ("open", {"seconds": "60", "reason": "r"}, "seconds"),
        ("open", {"seconds": 60}, "reason"),
        ("open", {"seconds": 60, "reason": " "}, "reason"),
        ("close", {"seconds": 0.9, "reason": "r"}, "seconds"),
        ("close", {"seconds": 60}, "reason"),
        ("reset", {}, "reason"),
        ("reset", {"seconds": 60, "reason": "r"}, "seconds"),
    ],
)
def test_a_move_that_breaks_a_rule_names_the_field_and_moves_nothing(
    sqlite_api: Api, verb: str, body: dict[str, object], field: str
) -> None:
    answer = sqlite_api.call("POST", f"{BREAKERS}/amazon/{verb}", json=body)
    assert (answer.status_code, fields_of(answer)) == (422, [field])
    assert rows(sqlite_api) == []


def test_the_longest_and_the_shortest_time_are_taken(following: Api) -> None:
    assert moved(following, "open", seconds=WEEK_SECONDS)["secondsUntilRetry"] == pytest.approx(WEEK_SECONDS, abs=5)
    assert moved(following, "open", seconds=1)["held"]["secondsLeft"] <= 1


@pytest.mark.parametrize("agent", ["nobody", "Amazon", "%00", "00000000-0000-4000-8000-000000000000"])
def test_an_agent_that_there_is_not_is_not_found(sqlite_api: Api, agent: str) -> None:
    before = sqlite_api.digest()
    for method, path, body in (
        ("GET", agent, None),
        ("POST", f"{agent}/open", {"seconds": 60, "reason": "r"}),
        ("POST", f"{agent}/close", {"reason": "r"}),
        ("POST", f"{agent}/reset", {"reason": "r"}),
    ):
        answer = sqlite_api.call(method, f"{BREAKERS}/{path}", json=body)
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "not_found")
    assert sqlite_api.digest() == before


def test_a_viewer_reads_circuits_and_moves_none(sqlite_api: Api) -> None:
    assert sqlite_api.get(f"{BREAKERS}/amazon", Role.VIEWER).status_code == 200
    answer = sqlite_api.call("POST", f"{BREAKERS}/amazon/reset", Role.VIEWER, json={"reason": "r"})
    assert answer.status_code == 403


def test_the_diagnosis_has_the_circuits_and_is_degraded_by_an_open_one(following: Api) -> None:
    assert following.get(DIAGNOSTICS).get_json()["status"] == "healthy"
    fail(following.runtime.breakers, RemoteServerError("HTTP 500"), times=5)
    moved(following, "close", "shopee")
    diagnosis = following.get(DIAGNOSTICS).get_json()
    assert [(circuit["agent"], circuit["state"]) for circuit in diagnosis["breakers"]] == [
        ("amazon", "open"),
        ("shopee", "closed"),
    ]
    assert set(diagnosis["breakers"][0]) == set(shown(following)) - {"history"}
    assert 50 < diagnosis["breakers"][0]["secondsUntilRetry"] <= 60
    assert diagnosis["status"] == "degraded"
    assert advice(diagnosis) == {"circuit_open": "warning", "circuit_held_by_hand": "info"}


def test_a_circuit_that_is_open_by_hand_is_told_with_who_and_why(following: Api) -> None:
    moved(following, "open", seconds=600, reason="they migrate")
    diagnosis = following.get(DIAGNOSTICS).get_json()
    assert (diagnosis["status"], advice(diagnosis)) == ("degraded", {"circuit_opened_by_hand": "warning"})
    assert "by admin (they migrate)" in diagnosis["recommendations"][0]["action"]


def test_error_rates_are_told_of_agents_that_were_called(api: Api) -> None:
    outcomes = ["ok"] * 6 + ["network", "bad_answer"]
    calls = [AgentCall("amazon", "analysis", 0, 1.0, 30.0, outcome, probe=False) for outcome in outcomes]
    with api.runtime.database.write() as connection:
        insert_calls(connection, calls)
        connection.execute(update(agent_calls).where(agent_calls.c.outcome == "ok").values(called_at=now_plus(-299)))
        insert_calls(connection, [replace(calls[0], agent="gone")])
    amazon, shopee = api.get("/api/marketplace/breakers").get_json()["items"][:2]
    assert (amazon["calls"], amazon["errorRate"]) == (8, 0.25)
    assert (shopee["calls"], shopee["errorRate"]) == (0, None)
    families = api.runtime.levels.collect()
    (family,) = [family for family in families if family.name == AGENT_ERROR_RATE.name]
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"agent": "amazon"}, 0.25)]
    with api.runtime.database.write() as connection:
        connection.execute(update(agent_calls).where(agent_calls.c.outcome == "ok").values(called_at=now_plus(-301)))
    assert api.get("/api/marketplace/breakers").get_json()["items"][0]["errorRate"] == 1.0


def test_changes_of_more_than_an_hour_ago_count_no_more(following: Api) -> None:
    moved(following, "reset")
    with following.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_breaker_transitions SET at = at - 3700000")
    found = shown(following)
    assert found["transitionsLastHour"] == 0
    assert datetime.fromisoformat(found["history"][0]["at"]) < datetime.now(UTC) - timedelta(hours=1)
    assert found["state"] == CircuitState.CLOSED
