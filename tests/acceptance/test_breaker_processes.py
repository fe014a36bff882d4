"""The circuit breaker over real processes: the story's script, the storm at the moment of half-open, Redis away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from app.settings import DatabaseSettings
from app.storage.breaker_transitions import newest_transitions
from app.storage.database import Database
from loadtest.agent_server import FakeAgents
from tests.breakers.asking_process import asking_processes
from tests.servers import ValkeyServer, wait_until

_SOON = {"MARKETPLACE_BREAKERS__OPEN_SECONDS": "1"}


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


def behave(agents: FakeAgents, **behaviour: object) -> None:
    requests.put(f"{agents.url}/behaviour/amazon", json=behaviour, timeout=5).raise_for_status()


def requests_of(agents: FakeAgents) -> int:
    return int(requests.get(f"{agents.url}/requests/amazon", timeout=5).json()["count"])


def test_the_sixth_call_is_refused_in_the_other_process_and_the_agent_comes_back(
    agents: FakeAgents, server: ValkeyServer, database_url: str
) -> None:
    behave(agents, mode="error")
    with asking_processes(2, agents_url=agents.url, redis_url=server.url, database_url=database_url, **_SOON) as (
        first,
        second,
    ):
        assert [call["outcome"] for call in first.ask(5)] == ["server_error"] * 5
        wait_until(lambda: second.view()["state"] == "open", what="the other process to hear of it")
        (sixth,) = second.ask()
        assert sixth["outcome"] == "circuit_open"
        assert requests_of(agents) == 5
        behave(agents, mode="healthy", latencyMs=0)
        wait_until(lambda: second.view()["state"] == "half_open", what="its time to be over")
        assert [call["outcome"] for call in second.ask(2)] == ["ok", "ok"]
        wait_until(lambda: first.view()["state"] == "closed", what="the first process to hear of it")
        assert [call["outcome"] for call in first.ask(3)] == ["ok"] * 3
        wait_until(lambda: kept(database_url) == ["open", "half_open", "closed"], what="the history to be written")


def kept(database_url: str) -> list[str]:
    """Return the states that the circuit went through, by the history in the database."""
    database = Database(DatabaseSettings(url=SecretStr(database_url)))
    with closing(database), database.read() as connection:
        return [found.to_state.value for found in reversed(newest_transitions(connection, limit=100))]


def test_a_storm_at_the_moment_of_half_open_lets_two_calls_through(
    agents: FakeAgents, server: ValkeyServer, database_url: str
) -> None:
    behave(agents, mode="error")
    with asking_processes(
        4, agents_url=agents.url, redis_url=server.url, database_url=database_url, **_SOON
    ) as processes:
        processes[0].ask(5)
        # The probes outlast the storm: none of its calls finds the place of one free.
        behave(agents, mode="hang")
        wait_until(lambda: {p.view()["state"] for p in processes} == {"half_open"}, what="its time to be over")
        for process in processes:
            process.begin("ask", calls=50, threads=50)
        outcomes = [call["outcome"] for process in processes for call in process.answer()]
        assert sorted(outcomes) == ["circuit_open"] * 198 + ["timeout"] * 2
        assert requests_of(agents) == 7


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "empty"])
def test_redis_may_go_and_come_back_while_a_circuit_is_open(
    agents: FakeAgents, server: ValkeyServer, database_url: str, *, keeps: bool
) -> None:
    behave(agents, mode="error")
    with asking_processes(3, agents_url=agents.url, redis_url=server.url, database_url=database_url) as processes:
        processes[0].ask(5)
        wait_until(lambda: {p.view()["state"] for p in processes} == {"open"}, what="all to hear of it")
        server.kill()
        wait_until(lambda: not any(p.view()["inTouch"] for p in processes), what="all to be alone")
        assert [process.ask()[0]["outcome"] for process in processes] == ["circuit_open"] * 3
        if not keeps:
            server.forget()
        server.start()
        wait_until(lambda: all(p.view()["inTouch"] for p in processes), what="all to be back in touch")
        views = [process.view() for process in processes]
        assert {view["state"] for view in views} == {"open"}
        left = [view["secondsUntilRetry"] for view in views]
        # They are asked one after the other, on a machine that may be busy.
        assert max(left) - min(left) < 5
        assert requests_of(agents) == 5
