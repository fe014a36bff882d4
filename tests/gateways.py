"""Gateways to agents, with breakers that this process alone keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.agents.configuration import AgentConfig, breaker_rules
from app.agents.gateway import AgentGateway
from app.breakers.breakers import Breakers
from app.domain.agent_timeouts import AgentCall
from app.domain.jobs import JobKind
from app.live_metrics import LiveMetrics
from app.outbound import Outbound
from app.settings import AgentsSettings, BreakerSettings, OutboundSettings

#: For tests of something else in which agents fail again and again.
NEVER_OPENS = BreakerSettings(failure_threshold=1000)


def gateway_to(
    configs: Sequence[AgentConfig],
    metrics: LiveMetrics,
    *,
    outbound: Outbound | None = None,
    settings: AgentsSettings | None = None,
    breakers: Breakers | BreakerSettings | None = None,
    threads: Mapping[JobKind, int] | None = None,
    on_call: Callable[[AgentCall], None] = lambda _call: None,
) -> AgentGateway:
    """Return a gateway; without an `outbound`, agents may be on loopback."""
    if not isinstance(breakers, Breakers):
        breakers = Breakers(breaker_rules(configs, breakers or BreakerSettings()), metrics)
    outbound = outbound or Outbound(OutboundSettings(), allow_private=True)
    return AgentGateway(configs, outbound, metrics, breakers, settings, threads=threads, on_call=on_call)
