"""The gateway to the agents: every question goes through here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.agents import http_protocol, openai_protocol
from app.agents.configuration import AgentConfig
from app.agents.question import Question
from app.agents.retry_budget import RetryBudget
from app.domain.agent_timeouts import AgentCall, AgentTimeout, TimeoutPolicy
from app.domain.deadline import Deadline
from app.domain.errors import (
    ConfigurationError,
    InvalidInputError,
    MarketplaceError,
    NotFoundError,
    RetryBudgetExhaustedError,
)
from app.domain.plan import AnalysisPlan
from app.domain.plan_reading import PlanReading
from app.metrics import AGENT_CALLS, AGENT_DURATION, AGENT_RETRIES, LiveMetrics
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

    Each agent has its own retry budget, which this process alone keeps. `on_call` is told of each call that was made;
    it must neither wait nor raise.
    """

    def __init__(
        self,
        configs: Iterable[AgentConfig],
        outbound: Outbound,
        metrics: LiveMetrics,
        settings: AgentsSettings | None = None,
        on_call: Callable[[AgentCall], None] = lambda _call: None,
    ) -> None:
        settings = settings or AgentsSettings()
        self._configs = {config.name: config for config in configs}
        self._budgets = {
            name: RetryBudget(settings.retry_ratio, settings.retry_reserve_per_second) for name in self._configs
        }
        self._outbound = outbound
        self._metrics = metrics
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

    def ask(
        self,
        agent: str,
        question: Question,
        deadline: Deadline,
        *,
        is_retry: bool = False,
        timeout: AgentTimeout | None = None,
    ) -> AgentAnswer:
        """Ask one agent, within the deadline, the agent's own timeout and `timeout`, whichever is earliest.

        `is_retry` tells that only an earlier failure makes this call necessary: it is made if the agent's retry budget
        allows it.

        Raises:
            NotFoundError: There is no such agent.
            RecoverableError: NetworkError, DeadlineExceededError, RateLimitedError, RemoteServerError or
                RetryBudgetExhaustedError.
            PermanentError: BadAnswerError, RemoteAuthError, RemoteRejectedError or ConfigurationError.
        """
        config = self._configs.get(agent)
        if config is None:
            raise NotFoundError(f"there is no agent {agent}")
        # Out of time before the call: that says nothing about the agent, so it is not counted as its failure.
        deadline.check()
        self._spend(agent, is_retry=is_retry)
        for limit in (config.timeout_seconds, None if timeout is None else timeout.seconds):
            deadline = deadline if limit is None else deadline.within(limit)
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
            self._metrics.observe(AGENT_DURATION, seconds, agent=agent)
            self._on_call(
                AgentCall(
                    agent=agent,
                    purpose=question.purpose,
                    size=question.size,
                    seconds=seconds,
                    limit_seconds=deadline.at - started,
                    outcome=outcome,
                    probe=timeout is not None and timeout.policy is TimeoutPolicy.PROBE,
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
            # Lets the agent stop when nobody waits any longer.
            "X-Deadline-Seconds": f"{deadline.remaining_seconds:.3f}",
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        body = json.dumps(protocol.body_of(config, question)).encode()
        try:
            reply = self._outbound.post(protocol.url_of(config), body, headers, deadline)
        except InvalidInputError as error:
            raise ConfigurationError(
                f"agent {config.name}: its url {error.message};"
                " MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS allows private ones"
            ) from error
        raise_for_status(reply, secret=key)
        return protocol.read_answer(reply.body)
