"""The parts that every process has, put together once by its entry file."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from app.agents.configuration import AgentConfig, load_agents
from app.agents.gateway import AgentGateway
from app.announcements import Announcer
from app.job_queue.clients import Temper, fail_fast_client, patient_client
from app.job_queue.hints import HintQueue
from app.metrics import LiveMetrics
from app.outbound import Outbound
from app.recovery import Recovery
from app.settings import Settings
from app.storage.database import Database


@dataclass(frozen=True)
class Runtime:
    """What every process of the product has."""

    settings: Settings
    agents: tuple[AgentConfig, ...]
    metrics: LiveMetrics
    database: Database
    redis: Redis
    hints: HintQueue
    announcer: Announcer
    webhooks_outbound: Outbound
    gateway: AgentGateway
    recovery: Recovery

    def close(self) -> None:
        """Close every connection."""
        self.redis.close()
        self.database.close()


def build_runtime(settings: Settings, temper: Temper) -> Runtime:
    """Put together the parts that every process has.

    A `patient` Redis client suits a worker; web and scheduler must not wait for Redis, and take `fail_fast`.

    Raises:
        ConfigurationError: The list of agents cannot be used.
    """
    agents = load_agents(settings.agents)
    metrics = LiveMetrics(agents=[agent.name for agent in agents])
    database = Database(settings.database)
    client = {"patient": patient_client, "fail_fast": fail_fast_client}[temper](settings.redis, metrics)
    hints = HintQueue(client, settings.redis.namespace)
    announcer = Announcer(hints, metrics)
    agents_outbound = Outbound(settings.outbound, allow_private=settings.outbound.allow_private_agents)
    webhooks_outbound = Outbound(settings.outbound, allow_private=settings.outbound.allow_private_webhooks)
    return Runtime(
        settings=settings,
        agents=agents,
        metrics=metrics,
        database=database,
        redis=client,
        hints=hints,
        announcer=announcer,
        webhooks_outbound=webhooks_outbound,
        gateway=AgentGateway(agents, agents_outbound, metrics),
        recovery=Recovery(database, announcer, settings.jobs),
    )
