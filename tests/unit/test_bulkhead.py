from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from app.agents.bulkhead import Bulkhead, Permit
from app.agents.configuration import AgentConfig
from app.agents.question import Purpose
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.job_threads import job_threads
from app.live_metrics import LiveMetrics
from app.settings import DatabaseSettings, SchedulerSettings, Settings, WebSettings, WorkerSettings


def agent(name: str = "amazon", most: int | None = None) -> AgentConfig:
    return AgentConfig(name=name, channel=name, url="http://agents.example/v1", model="m", max_concurrent_calls=most)


def bulkhead(
    *agents: AgentConfig, threads: int | None = 8, share: float = 0.5, metrics: LiveMetrics | None = None
) -> Bulkhead:
    agents = agents or (agent(),)
    return Bulkhead(
        agents,
        None if threads is None else dict.fromkeys(JobKind, threads),
        share=share,
        metrics=metrics or LiveMetrics(agents=[one.name for one in agents]),
    )


def take(of: Bulkhead, name: str = "amazon", purpose: Purpose = "analysis") -> Permit | None:
    return of.take([name], purpose)[0].get(name)


def waits_of(of: Bulkhead, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Return the waits for room, which from now on are noted and do not happen."""
    waits: list[float | None] = []
    monkeypatch.setattr(of._changed, "wait_for", lambda _condition, seconds=None: waits.append(seconds))
    return waits


def taken(of: Bulkhead, name: str = "amazon", *, tries: int = 20) -> list[Permit]:
    return [permit for permit in (take(of, name) for _ in range(tries)) if permit is not None]


@pytest.mark.parametrize(
    ("threads", "share", "most", "allowed"),
    [
        (8, 0.5, None, 4),
        (3, 0.5, None, 1),
        (1, 0.5, None, 1),
        (0, 0.5, None, 1),
        (8, 1.0, None, 8),
        (8, 0.5, 2, 2),
        (8, 0.5, 12, 12),
        (None, 0.5, None, 20),
    ],
)
def test_one_agent_gets_its_share_of_the_threads_but_at_least_one(
    threads: int | None, share: float, most: int | None, allowed: int
) -> None:
    assert len(taken(bulkhead(agent(most=most), threads=threads, share=share))) == allowed


def test_agents_and_kinds_of_jobs_do_not_take_each_others_permits() -> None:
    one = bulkhead(agent(), agent("shopee"), threads=2)
    assert take(one)
    assert take(one) is None
    assert take(one, purpose="phase1")
    assert take(one, "shopee")


def test_a_permit_is_given_back_once() -> None:
    one = bulkhead(threads=4)
    permits = taken(one)
    with permits[0]:
        permits[0].give_back()
    permits[0].give_back()
    assert len(taken(one)) == 1


def test_a_permit_is_given_back_when_the_call_fails() -> None:
    one = bulkhead(threads=2)
    with pytest.raises(ValueError, match="defect"), taken(one)[0]:
        raise ValueError("defect")
    assert len(taken(one)) == 1


def test_many_threads_never_hold_more_permits_than_there_are() -> None:
    one, guard, held, most = bulkhead(threads=6), threading.Lock(), 0, 0

    def use(_position: int) -> bool:
        nonlocal held, most
        permit = take(one)
        if permit is None:
            return False
        with permit:
            with guard:
                held += 1
                most = max(most, held)
            with guard:
                held -= 1
        return True

    with ThreadPoolExecutor(16) as pool:
        used = list(pool.map(use, range(5000)))
    assert any(used)
    assert most <= 3
    assert len(taken(one)) == 3


def test_an_agent_that_has_not_answered_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bulkhead(threads=2)
    waits = waits_of(one, monkeypatch)
    assert take(one)
    assert take(one) is None
    assert waits == []


def test_an_agent_that_is_quick_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    one = bulkhead(threads=2)
    monkeypatch.setattr("app.agents.bulkhead._QUICK_SECONDS", 60.0)
    permit = take(one)
    assert permit
    permit.give_back()
    again = take(one)
    assert again
    with monkeypatch.context() as patient:
        patient.setattr("app.agents.bulkhead.PATIENCE_SECONDS", 20.0)
        giving = threading.Timer(0.05, again.give_back)
        giving.start()
        assert take(one)
        giving.join()
    assert take(one) is None


def test_a_call_that_ends_by_its_timeout_is_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("app.agents.bulkhead.time.monotonic", lambda: now[0])
    one = bulkhead(threads=2)
    permit = take(one)
    assert permit
    now[0] += 30
    permit.give_back()
    assert take(one)
    waits = waits_of(one, monkeypatch)
    assert take(one) is None
    assert waits == []


def test_nobody_waits_with_a_permit_in_the_hand_nor_for_two_agents_of_which_one_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = bulkhead(agent(), agent("shopee"), agent("shein"), threads=2)
    permit = take(one)
    assert permit
    permit.give_back()
    assert take(one)
    assert take(one, "shopee")
    waits = waits_of(one, monkeypatch)
    permits, busy = one.take(["amazon", "shopee", "shein"], "analysis")
    assert waits == []
    assert (list(permits), busy) == (["shein"], ["amazon", "shopee"])


def test_calls_in_flight_and_refusals_are_counted() -> None:
    metrics = LiveMetrics(agents=["amazon"])
    permits = taken(bulkhead(threads=4, metrics=metrics), tries=5)
    labels = {"agent": "amazon", "kind": "analysis"}
    assert metrics.registry.get_sample_value("marketplace_agent_calls_in_flight", labels) == 2
    assert metrics.registry.get_sample_value("marketplace_agent_permits_refused_total", labels) == 3
    permits[0].give_back()
    assert metrics.registry.get_sample_value("marketplace_agent_calls_in_flight", labels) == 1


@pytest.mark.parametrize(
    ("role", "phase1", "analysis"),
    [
        (ProcessRole.WEB, 5, None),
        (ProcessRole.WORKER, 6, 7),
        (ProcessRole.QUARANTINE, 13, 13),
        (ProcessRole.SCHEDULER, 2, 3),
    ],
)
def test_each_role_runs_as_many_jobs_as_its_settings_say(role: ProcessRole, phase1: int, analysis: int | None) -> None:
    settings = Settings(
        database=DatabaseSettings(url=SecretStr("sqlite:///x.db")),
        web=WebSettings(in_place_runs=5),
        worker=WorkerSettings(phase1_threads=6, analysis_threads=7),
        scheduler=SchedulerSettings(fallback_phase1_runs=2, fallback_analysis_runs=3),
    )
    threads = job_threads(settings, role)
    assert (threads[JobKind.PHASE1], threads.get(JobKind.ANALYSIS)) == (phase1, analysis)
