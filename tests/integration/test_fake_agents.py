from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from loadtest.agent_behaviours import MODES, demo_behaviours
from loadtest.agent_server import FakeAgents
from tests.servers import ended, wait_until

_ROOT = Path(__file__).parents[2]
_CHAT = {"messages": [{"role": "user", "content": '{"purpose": "analysis"}'}]}


@pytest.fixture
def fakes() -> Iterator[FakeAgents]:
    with FakeAgents(seed=7) as fakes:
        yield fakes


def _put(fakes: FakeAgents, agent: str, data: object) -> requests.Response:
    return requests.put(f"{fakes.url}/behaviour/{agent}", json=data, timeout=5)


def _chat(fakes: FakeAgents, agent: str) -> requests.Response:
    return requests.post(f"{fakes.url}/{agent}/v1/chat/completions", json=_CHAT, timeout=5)


def _statuses(fakes: FakeAgents, agent: str, count: int) -> list[int]:
    statuses = []
    for _ in range(count):
        try:
            statuses.append(_chat(fakes, agent).status_code)
        except requests.ConnectionError:
            statuses.append(0)
    return statuses


def test_equal_seeds_give_equal_answers_and_equal_failures() -> None:
    runs = []
    for _ in range(2):
        with FakeAgents(seed=7) as fakes:
            answers = [_chat(fakes, "amazon").text for _ in range(3)]
            _put(fakes, "shopee", {"mode": "flaky", "failureRate": 0.5, "latencyMs": 0})
            runs.append((answers, _statuses(fakes, "shopee", 12)))
    assert runs[0] == runs[1]
    assert len(set(runs[0][0])) == 3
    assert {0, 200, 500} == set(runs[0][1])


def test_another_seed_gives_other_answers(fakes: FakeAgents) -> None:
    with FakeAgents(seed=8) as others:
        assert _chat(others, "amazon").text != _chat(fakes, "amazon").text


def test_a_new_behaviour_begins_the_draws_anew(fakes: FakeAgents) -> None:
    flaky = {"mode": "flaky", "latencyMs": 0, "seed": 3}
    _put(fakes, "shein", flaky)
    first = _statuses(fakes, "shein", 8)
    _put(fakes, "shein", flaky)
    assert _statuses(fakes, "shein", 8) == first


def test_the_first_requests_fail_and_the_next_are_answered(fakes: FakeAgents) -> None:
    _put(fakes, "amazon", {"mode": "rate_limited", "failFirst": 2, "latencyMs": 0})
    assert _statuses(fakes, "amazon", 4) == [429, 429, 200, 200]


def test_the_control_tells_what_it_set(fakes: FakeAgents) -> None:
    told = _put(fakes, "kaway", {"mode": "slow", "latencyMs": 250}).json()
    assert told == requests.get(f"{fakes.url}/behaviour/kaway", timeout=5).json()
    assert told == {
        "mode": "slow",
        "latencyMs": 250.0,
        "failureRate": 1.0,
        "seed": 7,
        "failFirst": None,
        "variant": None,
        "retryAfterSeconds": 1,
    }


def test_requests_are_counted_by_purpose_and_by_what_happened(fakes: FakeAgents) -> None:
    _put(fakes, "amazon", {"mode": "error", "failFirst": 1, "latencyMs": 0})
    _chat(fakes, "amazon")
    _chat(fakes, "amazon")
    requests.post(f"{fakes.url}/amazon/analyse", json={"purpose": "phase1"}, timeout=5)
    counted = requests.get(f"{fakes.url}/requests/amazon", timeout=5).json()
    assert counted["count"] == 3
    assert counted["byPurpose"] == {"analysis": 2, "phase1": 1}
    assert counted["byMode"] == {"error": 1, "healthy": 2}
    assert counted["lastAt"].endswith("+00:00")
    assert requests.get(f"{fakes.url}/requests/shein", timeout=5).json()["count"] == 0


@pytest.mark.parametrize(
    ("data", "field"),
    [
        pytest.param([], "body", id="list"),
        pytest.param({}, "mode", id="no-mode"),
        pytest.param({"mode": "angry"}, "mode", id="unknown-mode"),
        pytest.param({"mode": ["slow"]}, "mode", id="mode-a-list"),
        pytest.param({"mode": "slow", "latencyMs": -1}, "latencyMs", id="negative-latency"),
        pytest.param({"mode": "slow", "latencyMs": "1"}, "latencyMs", id="latency-text"),
        pytest.param({"mode": "flaky", "failureRate": 1.1}, "failureRate", id="rate-too-high"),
        pytest.param({"mode": "flaky", "failureRate": True}, "failureRate", id="rate-boolean"),
        pytest.param({"mode": "error", "failFirst": 1.5}, "failFirst", id="fail-first-fraction"),
        pytest.param({"mode": "error", "seed": -1}, "seed", id="negative-seed"),
        pytest.param({"mode": "malformed", "variant": "x"}, "variant", id="unknown-variant"),
        pytest.param({"mode": "error", "variant": "prose"}, "variant", id="variant-of-another-mode"),
        pytest.param({"mode": "error", "latency": 1}, "latency", id="unknown-field"),
    ],
)
def test_wrong_control_input_is_refused_with_its_field(fakes: FakeAgents, data: object, field: str) -> None:
    before = fakes.agents["amazon"].behaviour
    answer = _put(fakes, "amazon", data)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert fakes.agents["amazon"].behaviour == before


def test_control_input_that_is_not_json_is_refused(fakes: FakeAgents) -> None:
    answer = requests.put(f"{fakes.url}/behaviour/amazon", data=b"{", timeout=5)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/behaviour/ebay"),
        ("GET", "/requests/ebay"),
        ("PUT", "/behaviour/ebay"),
        ("POST", "/ebay/v1/chat/completions"),
        ("POST", "/amazon"),
    ],
)
def test_unknown_paths_and_agents_are_not_found(fakes: FakeAgents, method: str, path: str) -> None:
    assert requests.request(method, fakes.url + path, json={}, timeout=5).status_code == 404


def test_a_request_without_length_is_refused(fakes: FakeAgents) -> None:
    answer = requests.post(f"{fakes.url}/amazon/analyse", data=iter([b"{}"]), timeout=5)
    assert answer.status_code == 411


def test_one_connection_serves_many_requests(fakes: FakeAgents) -> None:
    connection = http.client.HTTPConnection(fakes.url.removeprefix("http://"), timeout=5)
    connection.connect()
    opened = connection.sock
    for path in ("/health", "/requests/amazon", "/nowhere", "/health"):
        connection.request("GET", path)
        connection.getresponse().read()
        assert connection.sock is opened
    connection.close()


def test_a_hundred_clients_at_once_are_answered(fakes: FakeAgents) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: _chat(fakes, "amazon").status_code, range(200)))
    assert answers == [200] * 200
    assert fakes.agents["amazon"].requests()["count"] == 200


def test_stopping_does_not_wait_for_requests_that_hang(fakes: FakeAgents) -> None:
    _put(fakes, "amazon", {"mode": "hang", "latencyMs": 0})
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(_chat, fakes, "amazon")
        wait_until(lambda: fakes.agents["amazon"].requests()["count"], what="the request")
        fakes.stop()
        with pytest.raises(requests.ConnectionError):
            hanging.result(timeout=5)


def test_the_personalities_of_the_demo_are_six_different_ones() -> None:
    modes = [behaviour.mode for behaviour in demo_behaviours(seed=1).values()]
    assert len(set(modes)) == 6
    assert set(modes) <= set(MODES)


@pytest.mark.process
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_where_it_is_and_ends_when_told(tmp_path: Path, stop: signal.Signals) -> None:
    config = tmp_path / "agents.json"
    config.write_text('{"shein": {"mode": "error", "latencyMs": 0}}')
    with _program("--port", "0", "--personalities", "demo", "--config", str(config)) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().decode()
        url = ready.split()[4].rstrip(":")
        assert ready.startswith("fake agents ready on http://127.0.0.1:")
        assert requests.get(f"{url}/health", timeout=5).json()["status"] == "ok"
        assert requests.get(f"{url}/behaviour/shein", timeout=5).json()["mode"] == "error"
        assert requests.get(f"{url}/behaviour/kaway", timeout=5).json()["mode"] == "dead"
        process.send_signal(stop)
        assert process.wait(30) == 0


@pytest.mark.process
@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("{", "file: cannot be read as JSON (JSONDecodeError)"),
        ('{"ebay": {"mode": "slow"}}', "file: must be an object whose keys are among amazon"),
        ('{"shein": {"mode": "x"}}', "shein.mode: must be one of"),
    ],
)
def test_the_program_refuses_a_wrong_configuration(tmp_path: Path, config: str, problem: str) -> None:
    (tmp_path / "agents.json").write_text(config)
    with _program("--port", "0", "--config", str(tmp_path / "agents.json")) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert problem in errors.decode()


@pytest.mark.process
def test_the_program_refuses_a_port_that_is_taken(fakes: FakeAgents) -> None:
    port = fakes.url.rpartition(":")[2]
    with _program("--port", port) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.decode() == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


@contextmanager
def _program(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "loadtest.fake_agents", *arguments]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process, ended(process):
        yield process
