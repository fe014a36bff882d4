from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.agents.configuration import AgentConfig
from app.agents.gateway import AgentGateway
from app.agents.question import Question
from app.domain.deadline import Deadline
from app.domain.errors import (
    BadAnswerError,
    ConfigurationError,
    DeadlineExceededError,
    MarketplaceError,
    NetworkError,
    NotFoundError,
    RateLimitedError,
    RemoteAuthError,
    RemoteServerError,
)
from app.domain.plan import AnalysisPlan, Priority
from app.live_metrics import LiveMetrics
from app.outbound import Outbound
from app.settings import OutboundSettings
from loadtest.agent_behaviours import AGENTS, VARIANTS
from loadtest.agent_server import FakeAgents
from tests.gateways import gateway_to
from tests.raw_server import raw_server

_QUESTION = Question("analysis", "amazon", "Shoes", "Sales fell in May.", None)

#: Seconds that a call is given, and that it may take beyond them before we call its deadline broken: each agent that
#: keeps us waiting does so for 30 s at least.
_GIVEN = 0.6
_GRACE = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAgents]:
    with FakeAgents() as server:
        yield server


@pytest.fixture
def fakes(server: FakeAgents) -> FakeAgents:
    for name in AGENTS:
        _tell(server, name, mode="healthy", latencyMs=0)
    return server


def _tell(fakes: FakeAgents, agent: str, **behaviour: object) -> None:
    answer = requests.put(f"{fakes.url}/behaviour/{agent}", json=behaviour, timeout=5)
    assert answer.status_code == 200, answer.text


def _gateway(
    fakes: FakeAgents,
    *,
    protocol: str = "openai",
    metrics: LiveMetrics | None = None,
    allow_private: bool = True,
    **settings: Any,
) -> AgentGateway:
    """Return a gateway to all fake agents; `settings` are those of outbound calls."""
    configs = [
        AgentConfig.model_validate(
            {
                "name": f"{channel}-agent",
                "channel": channel,
                "url": f"{fakes.url}/{channel}/" + ("v1" if protocol == "openai" else "analyse"),
                "protocol": protocol,
                "model": "fake",
                "api_key": SecretStr("sk-secret"),
            }
        )
        for channel in AGENTS
    ]
    names = [config.name for config in configs]
    outbound = Outbound(OutboundSettings(**settings), allow_private=allow_private)
    return gateway_to(configs, metrics or LiveMetrics(agents=names), outbound=outbound)


def _ask(gateway: AgentGateway, channel: str = "amazon", *, seconds: float = 5.0) -> AnalysisPlan:
    agent = gateway.agent_for(channel)
    assert agent is not None
    return gateway.ask(agent, _QUESTION, Deadline.after(seconds)).plan


def _single(url: str, **config: Any) -> AgentGateway:
    agent = AgentConfig.model_validate(
        {"name": "amazon", "channel": "amazon", "url": url, "protocol": "http", "timeout_seconds": 1.0, **config}
    )
    return gateway_to([agent], LiveMetrics(agents=["amazon"]))


def test_it_knows_its_agents_and_their_channels(fakes: FakeAgents) -> None:
    gateway = _gateway(fakes)
    assert gateway.channels == AGENTS
    assert gateway.names == tuple(f"{channel}-agent" for channel in AGENTS)
    assert gateway.agent_for("tiktok-shop") == "tiktok-shop-agent"
    assert gateway.agent_for("ebay") is None


@pytest.mark.parametrize("protocol", ["openai", "http"])
@pytest.mark.parametrize("channel", AGENTS)
def test_every_agent_answers_with_a_plan_of_its_channel(fakes: FakeAgents, channel: str, protocol: str) -> None:
    plan = _ask(_gateway(fakes, protocol=protocol), channel)
    assert plan.channels == (channel,)
    assert plan.phase(1) is not None
    assert {opportunity.agent for opportunity in plan.opportunities} == {channel}


@pytest.mark.parametrize("protocol", ["openai", "http"])
def test_asked_for_phase_1_an_agent_writes_that_phase_only(fakes: FakeAgents, protocol: str) -> None:
    question = Question("phase1", "shein", "Shoes", "", AnalysisPlan(summary="Sell sets"))
    gateway = _gateway(fakes, protocol=protocol)
    answer = gateway.ask("shein-agent", question, Deadline.after(5))
    assert [phase.number for phase in answer.plan.phases] == [1]
    assert answer.notes == ()
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize(
    ("protocol", "variant"),
    [
        ("openai", "prose"),
        ("openai", "missing_phase_numbers"),
        ("openai", "numbers_as_text"),
        ("openai", "portuguese_priorities"),
        ("http", "missing_phase_numbers"),
        ("http", "numbers_as_text"),
        ("http", "portuguese_priorities"),
    ],
)
def test_a_badly_written_plan_is_understood(fakes: FakeAgents, protocol: str, variant: str) -> None:
    gateway = _gateway(fakes, protocol=protocol)
    _tell(fakes, "amazon", mode="malformed", variant=variant, latencyMs=0)
    answer = gateway.ask("amazon-agent", _QUESTION, Deadline.after(5))
    numbers = [phase.number for phase in answer.plan.phases]
    assert numbers == list(range(1, len(numbers) + 1))
    if variant == "missing_phase_numbers":
        assert answer.notes[0] == "phases.0.number: missing, numbered 1"
    if variant == "portuguese_priorities":
        assert [o.priority for o in answer.plan.opportunities][:3] == [Priority.HIGH, Priority.MEDIUM, Priority.LOW]


def test_empty_lists_are_an_answer(fakes: FakeAgents) -> None:
    _tell(fakes, "amazon", mode="malformed", variant="empty_lists", latencyMs=0)
    plan = _ask(_gateway(fakes))
    assert plan.summary
    assert not plan.opportunities
    assert not plan.phases
    assert not plan.metrics


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param({"mode": "error"}, RemoteServerError, id="error"),
        pytest.param({"mode": "dead"}, NetworkError, id="dead"),
        pytest.param({"mode": "hang", "variant": "half_closed"}, NetworkError, id="half-closed"),
        pytest.param({"mode": "huge"}, BadAnswerError, id="huge"),
        pytest.param({"mode": "huge", "variant": "gzip"}, BadAnswerError, id="compressed"),
        pytest.param({"mode": "malformed", "variant": "truncated"}, BadAnswerError, id="truncated"),
        pytest.param({"mode": "malformed", "variant": "wrong_schema"}, BadAnswerError, id="wrong-schema"),
        pytest.param({"mode": "malformed", "variant": "no_json"}, BadAnswerError, id="no-json"),
    ],
)
@pytest.mark.parametrize("protocol", ["openai", "http"])
def test_every_fault_becomes_one_error(
    fakes: FakeAgents, protocol: str, behaviour: dict[str, object], error: type[MarketplaceError]
) -> None:
    _tell(fakes, "amazon", latencyMs=0, **behaviour)
    with pytest.raises(MarketplaceError) as raised:
        _ask(_gateway(fakes, protocol=protocol))
    assert type(raised.value) is error


def test_a_rate_limit_tells_when_to_come_back(fakes: FakeAgents) -> None:
    _tell(fakes, "amazon", mode="rate_limited", retryAfterSeconds=7, latencyMs=0)
    with pytest.raises(RateLimitedError) as limited:
        _ask(_gateway(fakes))
    assert limited.value.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param({"mode": "hang"}, id="hang"),
        pytest.param({"mode": "drip"}, id="dripping-body"),
        pytest.param({"mode": "drip", "variant": "headers"}, id="dripping-headers"),
        pytest.param({"mode": "slow", "latencyMs": 30_000}, id="slow"),
    ],
)
def test_the_deadline_holds_against_agents_that_keep_us_waiting(
    fakes: FakeAgents, behaviour: dict[str, object]
) -> None:
    _tell(fakes, "amazon", **behaviour)
    gateway = _gateway(fakes)
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        _ask(gateway, seconds=_GIVEN)
    assert time.monotonic() - started < _GIVEN + _GRACE


def test_the_timeout_of_the_agent_ends_a_call_before_the_deadline_does(fakes: FakeAgents) -> None:
    _tell(fakes, "amazon", mode="hang")
    gateway = _single(f"{fakes.url}/amazon/analyse", timeout_seconds=1.0)
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        gateway.ask("amazon", _QUESTION, Deadline.after(60))
    assert time.monotonic() - started < 1.0 + _GRACE


def test_an_agent_that_fails_once_answers_the_second_time(fakes: FakeAgents) -> None:
    _tell(fakes, "amazon", mode="error", failFirst=1, latencyMs=0)
    gateway = _gateway(fakes)
    with pytest.raises(RemoteServerError):
        _ask(gateway)
    assert _ask(gateway).phases


def test_the_agent_is_told_how_long_we_wait_and_who_we_are(fakes: FakeAgents) -> None:
    _ask(_gateway(fakes), "kaway", seconds=5)
    headers = requests.get(f"{fakes.url}/requests/kaway", timeout=5).json()["lastHeaders"]
    assert 0 < float(headers["X-Deadline-Seconds"]) <= 5
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "given"


def test_the_key_is_sent_as_a_bearer_token_and_stands_in_no_error() -> None:
    answer = b"HTTP/1.1 400 Bad\r\nContent-Length: 24\r\n\r\nsk-secret was not enough"
    with raw_server(answer) as server:
        gateway = _single(server.url, api_key="sk-secret")
        with pytest.raises(MarketplaceError) as refused:
            gateway.ask("amazon", _QUESTION, Deadline.after(5))
    assert b"Authorization: Bearer sk-secret\r\n" in server.requests[0]
    assert str(refused.value) == "HTTP 400: *** was not enough"


def test_refused_credentials_are_a_permanent_error() -> None:
    with raw_server(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n") as server, pytest.raises(RemoteAuthError):
        _single(server.url).ask("amazon", _QUESTION, Deadline.after(5))


def test_a_private_agent_is_an_error_of_configuration_that_names_the_setting(fakes: FakeAgents) -> None:
    before = fakes.agents["amazon"].requests()["count"]
    with pytest.raises(ConfigurationError, match=r"^agent amazon-agent: .* MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS"):
        _ask(_gateway(fakes, allow_private=False))
    assert fakes.agents["amazon"].requests()["count"] == before


def test_there_must_be_such_an_agent(fakes: FakeAgents) -> None:
    with pytest.raises(NotFoundError):
        _gateway(fakes).ask("ebay-agent", _QUESTION, Deadline.after(5))


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        ({"mode": "healthy"}, "ok"),
        ({"mode": "error"}, "server_error"),
        ({"mode": "rate_limited"}, "rate_limited"),
        ({"mode": "dead"}, "network"),
        ({"mode": "malformed", "variant": "no_json"}, "bad_answer"),
    ],
)
def test_every_call_is_counted_timed_and_logged(fakes: FakeAgents, behaviour: dict[str, object], outcome: str) -> None:
    metrics = LiveMetrics(agents=["amazon-agent"])
    gateway = _gateway(fakes, metrics=metrics)
    _tell(fakes, "amazon", latencyMs=0, **behaviour)
    with capture_logs() as logs, suppress(MarketplaceError):
        _ask(gateway)
    labels = {"agent": "amazon-agent", "outcome": outcome}
    assert metrics.registry.get_sample_value("marketplace_agent_calls_total", labels) == 1
    seconds = metrics.registry.get_sample_value(
        "marketplace_agent_call_duration_seconds_sum", {"agent": "amazon-agent"}
    )
    assert seconds is not None
    assert seconds > 0
    (line,) = logs
    assert line.pop("seconds") == pytest.approx(seconds, abs=0.001)
    assert line == {
        "event": "agent_called",
        "log_level": "info",
        "agent": "amazon-agent",
        "purpose": "analysis",
        "outcome": outcome,
    }


def test_a_call_for_which_no_time_is_left_is_no_failure_of_the_agent(fakes: FakeAgents) -> None:
    metrics = LiveMetrics(agents=["amazon-agent"])
    with pytest.raises(DeadlineExceededError):
        _ask(_gateway(fakes, metrics=metrics), seconds=0)
    labels = {"agent": "amazon-agent", "outcome": "timeout"}
    assert metrics.registry.get_sample_value("marketplace_agent_calls_total", labels) == 0


def test_every_variant_of_malformed_answers_comes_in_turn(fakes: FakeAgents) -> None:
    _tell(fakes, "shopee", mode="malformed", latencyMs=0)
    gateway = _gateway(fakes)
    usable = []
    for variant in VARIANTS["malformed"]:
        try:
            _ask(gateway, "shopee")
            usable.append(variant)
        except BadAnswerError:
            pass
    assert usable == ["prose", "missing_phase_numbers", "numbers_as_text", "portuguese_priorities", "empty_lists"]
