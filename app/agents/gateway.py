"""The gateway to the agents: every question goes through here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from app.agents import http_protocol, openai_protocol
from app.agents.bulkhead import Bulkhead, Permit
from app.agents.configuration import AgentConfig
from app.agents.question import Purpose, Question
from app.agents.retry_budget import RetryBudget
from app.breakers.breakers import Breakers
from app.domain.agent_timeouts import AgentCall, AgentTimeout, TimeoutPolicy
from app.domain.deadline import Deadline
from app.domain.errors import (
    ConfigurationError,
    InvalidInputError,
    MarketplaceError,
    NotFoundError,
    RetryBudgetExhaustedError,
)
from app.domain.jobs import JobKind
from app.domain.plan import AnalysisPlan
from app.domain.plan_reading import PlanReading
from app.live_metrics import LiveMetrics
from app.metrics import AGENT_CALLS, AGENT_DURATION, AGENT_RETRIES
from app.outbound import Outbound, raise_for_status
from app.settings import AgentsSettings

_log = structlog.stdlib.get_logger(__name__)


class _AgentProtocol(Protocol):
    """What a protocol is: where a question goes, how it is written, and how the answer is read."""

    def url_of(self, config: AgentConfig) -> str: ...

    def body_of(self, config: AgentConfig, question: Question) -> Mapping[str, object]: ...

    def read_answer(self, body: bytes) -> PlanReading: ...


_PROTOCOLS: Mapping[str, _AgentProtocol] = {"openai": openai_protocol, "http": http_protocol}


@dataclass(frozen=True)
class AgentAnswer:
    """What an agent answered, what had to be repaired in it, and how long the call took."""

    plan: AnalysisPlan
    notes: tuple[str, ...]
    seconds: float


class AgentGateway:
    """Asks agents; safe to use from many threads. No retry: that is the job's business.

    Each agent has its own retry budget, and its own share of the threads; this process alone keeps them. Without
    `threads`, how many jobs of each kind run here at once, an agent may take them all. `on_call` is told of each call
    that was made; it must neither wait nor raise.
    """

    def __init__(
        self,
        configs: Iterable[AgentConfig],
        outbound: Outbound,
        metrics: LiveMetrics,
        breakers: Breakers,
        settings: AgentsSettings | None = None,
        *,
        threads: Mapping[JobKind, int] | None = None,
        on_call: Callable[[AgentCall], None] = lambda _call: None,
    ) -> None:
        settings = settings or AgentsSettings()
        self._configs = {config.name: config for config in configs}
        self._bulkhead = Bulkhead(self._configs.values(), threads, share=settings.bulkhead_share, metrics=metrics)
        self._budgets = {
            name: RetryBudget(settings.retry_ratio, settings.retry_reserve_per_second) for name in self._configs
        }
        self._outbound = outbound
        self._metrics = metrics
        self._breakers = breakers
        self._on_call = on_call

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the configured agents, in the order of the configuration."""
        return tuple(self._configs)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that an agent serves, in the order of the configuration."""
        return tuple(config.channel for config in self._configs.values())

    @property
    def configured_seconds(self) -> dict[str, float | None]:
        """The agents' own timeouts."""
        return {name: config.timeout_seconds for name, config in self._configs.items()}

    def agent_for(self, channel: str) -> str | None:
        """Return the name of the agent that serves this channel, or None."""
        return next((config.name for config in self._configs.values() if config.channel == channel), None)

    def reserve(self, agents: Collection[str], purpose: Purpose) -> tuple[dict[str, Permit], list[str]]:
        """Return permits to call these agents once each, and the agents that are busy; waits 0.2 s at most.

        Whoever calls `ask` has a permit, and gives it back after the call, made or not. An agent whose circuit is open
        needs none: it is not called.
        """
        called = [agent for agent in agents if not self._breakers.refuses(agent)]
        return self._bulkhead.take(called, purpose)

    def turn_seconds(self, agents: Collection[str], purpose: Purpose) -> float:
        """Return after how long there may be room at all of these busy agents, for whoever asks now."""
        return self._bulkhead.turn_seconds(agents, purpose)

    def ask(
        self,
        agent: str,
        question: Question,
        deadline: Deadline,
        *,
        is_retry: bool = False,
        timeout: AgentTimeout | None = None,
        job_id: UUID | None = None,
    ) -> AgentAnswer:
        """Ask one agent, within the deadline, the agent's own timeout and `timeout`, whichever is earliest.

        `is_retry` tells that only an earlier failure makes this call necessary: it is made if the agent's retry budget
        allows it. `job_id` is the job that asks.

        Raises:
            NotFoundError: There is no such agent.
            RecoverableError: NetworkError, DeadlineExceededError, RateLimitedError, RemoteServerError or
                RetryBudgetExhaustedError.
            PermanentError: CircuitOpenError, BadAnswerError, RemoteAuthError, RemoteRejectedError or
                ConfigurationError.
        """
        config = self._configs.get(agent)
        if config is None:
            raise NotFoundError(f"there is no agent {agent}")
        # Out of time before the call: that says nothing about the agent, so it is not counted as its failure.
        deadline.check()
        for limit in (config.timeout_seconds, None if timeout is None else timeout.seconds):
            deadline = deadline if limit is None else deadline.within(limit)
        is_probe = timeout is not None and timeout.policy is TimeoutPolicy.PROBE
        with self._breakers.call(agent, deadline.remaining_seconds):
            self._spend(agent, is_retry=is_retry)
            return self._timed_call(config, question, deadline, is_probe=is_probe, job_id=job_id)

    def _timed_call(
        self, config: AgentConfig, question: Question, deadline: Deadline, *, is_probe: bool, job_id: UUID | None
    ) -> AgentAnswer:
        agent = config.name
        started = time.monotonic()
        outcome = "other"
        try:
            reading = self._call(config, question, deadline)
            outcome = "ok"
        except MarketplaceError as error:
            outcome = error.code
            raise
        finally:
            seconds = time.monotonic() - started
            self._metrics.count(AGENT_CALLS, agent=agent, outcome=outcome)
            self._metrics.observe(AGENT_DURATION, seconds, job_id=job_id, agent=agent)
            self._on_call(
                AgentCall(
                    agent=agent,
                    purpose=question.purpose,
                    size=question.size,
                    seconds=seconds,
                    limit_seconds=deadline.at - started,
                    outcome=outcome,
                    probe=is_probe,
                )
            )
            _log.info("agent_called", agent=agent, purpose=question.purpose, outcome=outcome, seconds=round(seconds, 4))
        return AgentAnswer(reading.plan, reading.notes, seconds)

    def _spend(self, agent: str, *, is_retry: bool) -> None:
        if not is_retry:
            self._budgets[agent].deposit()
            return
        allowed = self._budgets[agent].withdraw()
        self._metrics.count(AGENT_RETRIES, agent=agent, outcome="made" if allowed else "refused")
        if not allowed:
            _log.warning("agent_retry_refused", agent=agent, error_code=RetryBudgetExhaustedError.code)
            raise RetryBudgetExhaustedError(f"{agent} was not called: too many of the calls to it are retries")

    def _call(self, config: AgentConfig, question: Question, deadline: Deadline) -> PlanReading:
        protocol = _PROTOCOLS[config.protocol]
        key = "" if config.api_key is None else config.api_key.get_secret_value()
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        body = json.dumps(protocol.body_of(config, question)).encode()
        try:
            # The header lets the agent stop when nobody waits any longer.
            reply = self._outbound.post(
                protocol.url_of(config), body, headers, deadline, deadline_header="X-Deadline-Seconds"
            )
        except InvalidInputError as error:
            raise ConfigurationError(
                f"agent {config.name}: its url {error.message};"
                " MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS allows private ones"
            ) from error
        raise_for_status(reply, secret=key)
        return protocol.read_answer(reply.body)
