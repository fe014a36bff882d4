"""The circuit breaker in front of real (fake) agents: which answers open it, and that a refused call is never made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from app.agents.configuration import AgentConfig
from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.breakers.breakers import Breakers
from app.domain.breaker import BreakerRules, CircuitState
from app.domain.deadline import Deadline
from app.domain.errors import CircuitOpenError, DeadlineExceededError, MarketplaceError, RetryBudgetExhaustedError
from app.live_metrics import LiveMetrics
from app.settings import AgentsSettings
from loadtest.agent_server import FakeAgents
from tests.gateways import gateway_to
from tests.raw_server import raw_server
from tests.servers import free_port, wait_until

QUESTION = Question("analysis", "amazon", "Shoes", "Sales fell in May.", None)
#: Open long enough for a busy machine to see a call refused.
SOON = BreakerRules(failure_threshold=5, open_seconds=3.0, success_threshold=2, half_open_probes=2)


@pytest.fixture
def agents() -> Iterator[FakeAgents]:
    with FakeAgents() as agents:
        yield agents


def behave(agents: FakeAgents, **behaviour: object) -> None:
    requests.put(f"{agents.url}/behaviour/amazon", json=behaviour, timeout=5).raise_for_status()


def requests_of(agents: FakeAgents) -> int:
    return int(requests.get(f"{agents.url}/requests/amazon", timeout=5).json()["count"])


def config_for(url: str, **more: object) -> AgentConfig:
    return AgentConfig.model_validate({"name": "amazon", "channel": "amazon", "url": url, "protocol": "http", **more})


def ask(gateway: AgentGateway, *, seconds: float = 5.0, is_retry: bool = False) -> None:
    gateway.ask("amazon", QUESTION, Deadline.after(seconds), is_retry=is_retry)


def fails(gateway: AgentGateway, *, seconds: float = 5.0) -> str:
    with pytest.raises(MarketplaceError) as caught:
        ask(gateway, seconds=seconds)
    return caught.value.code


def test_the_story(agents: FakeAgents) -> None:
    """Five failing calls open the circuit, the next one is refused unasked, and two good ones close it."""
    metrics = LiveMetrics(agents=["amazon"])
    breakers = Breakers({"amazon": SOON}, metrics)
    gateway = gateway_to([config_for(f"{agents.url}/amazon/analyse")], metrics, breakers=breakers)
    behave(agents, mode="error")
    assert [fails(gateway) for _ in range(6)] == ["server_error"] * 5 + ["circuit_open"]
    assert requests_of(agents) == 5
    behave(agents, mode="healthy", latencyMs=0)
    wait_until(lambda: breakers.view("amazon").state is CircuitState.HALF_OPEN, what="its time to be over")
    ask(gateway)
    ask(gateway)
    assert breakers.view("amazon").state is CircuitState.CLOSED
    assert requests_of(agents) == 7
    refused = metrics.registry.get_sample_value("marketplace_circuit_breaker_refusals_total", {"agent": "amazon"})
    assert refused == 1


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"mode": "error"}, "server_error"),
        ({"mode": "rate_limited"}, "rate_limited"),
        ({"mode": "huge"}, "bad_answer"),
        ({"mode": "dead"}, "network"),
        ({"mode": "hang"}, "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sick_agent_opens_its_circuit(agents: FakeAgents, behaviour: dict[str, object], code: str) -> None:
    config = config_for(f"{agents.url}/amazon/analyse", timeout_seconds=1.0, breaker={"failure_threshold": 2})
    gateway = gateway_to([config], LiveMetrics(agents=["amazon"]))
    behave(agents, **behaviour)
    assert [fails(gateway) for _ in range(3)] == [code, code, "circuit_open"]


def test_an_agent_that_nobody_reaches_opens_its_circuit() -> None:
    config = config_for(f"http://127.0.0.1:{free_port()}/", breaker={"failure_threshold": 2})
    gateway = gateway_to([config], LiveMetrics(agents=["amazon"]))
    assert [fails(gateway) for _ in range(3)] == ["network", "network", "circuit_open"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_is_our_own_fault_opens_none(status: int) -> None:
    reply = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    with raw_server(reply) as server:
        gateway = gateway_to([config_for(server.url, breaker={"failure_threshold": 1})], LiveMetrics(agents=["amazon"]))
        assert {fails(gateway) for _ in range(3)} <= {"remote_auth", "remote_rejected"}
        assert len(server.requests) == 3


def test_a_call_that_comes_too_late_opens_none(agents: FakeAgents) -> None:
    metrics = LiveMetrics(agents=["amazon"])
    breakers = Breakers({"amazon": BreakerRules(failure_threshold=1)}, metrics)
    gateway = gateway_to([config_for(f"{agents.url}/amazon/analyse")], metrics, breakers=breakers)
    behave(agents, mode="hang")
    with pytest.raises(DeadlineExceededError):
        ask(gateway, seconds=0)
    with pytest.raises(DeadlineExceededError):
        ask(gateway, seconds=0.2)
    assert breakers.view("amazon").state is CircuitState.CLOSED


def test_a_retry_that_the_budget_refuses_frees_its_place_as_a_probe(agents: FakeAgents) -> None:
    metrics = LiveMetrics(agents=["amazon"])
    breakers = Breakers({"amazon": BreakerRules(1, 0.1, 1, 1)}, metrics)
    budget = AgentsSettings(retry_ratio=0, retry_reserve_per_second=0)
    config = config_for(f"{agents.url}/amazon/analyse")
    gateway = gateway_to([config], metrics, settings=budget, breakers=breakers)
    behave(agents, mode="error")
    fails(gateway)
    behave(agents, mode="healthy", latencyMs=0)
    wait_until(lambda: breakers.view("amazon").state is CircuitState.HALF_OPEN, what="its time to be over")
    with pytest.raises(RetryBudgetExhaustedError):
        ask(gateway, is_retry=True)
    assert (breakers.view("amazon").state, breakers.view("amazon").probes) == (CircuitState.HALF_OPEN, 0)
    ask(gateway)
    assert breakers.view("amazon").state is CircuitState.CLOSED


def test_one_sick_agent_leaves_the_others_alone(agents: FakeAgents) -> None:
    configs = [
        AgentConfig(name=name, channel=name, url=f"{agents.url}/{name}/v1", model="fake")
        for name in ("amazon", "shopee")
    ]
    gateway = gateway_to(configs, LiveMetrics(agents=["amazon", "shopee"]))
    behave(agents, mode="error")
    for _ in range(5):
        fails(gateway)
    assert gateway.ask("shopee", QUESTION, Deadline.after(5)).plan is not None
    with pytest.raises(CircuitOpenError):
        ask(gateway)
