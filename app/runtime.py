"""The parts that every process has, put together once by its entry file."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from app.agent_calls import AgentCallLog
from app.agent_round import AgentRound
from app.agent_timeouts import AgentTimeouts
from app.agents.configuration import AgentConfig, breaker_rules, load_agents
from app.agents.gateway import AgentGateway
from app.analysis_job import AnalysisJob
from app.announcements import Announcer
from app.attempt_limits import AttemptLimits
from app.breaker_history import BreakerHistory
from app.breakers.breakers import Breakers
from app.breakers.shared_circuits import SharedCircuits
from app.controls import Controls
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.job_execution import JobBody, JobExecutor
from app.job_queue.clients import Temper, fail_fast_client, patient_client
from app.job_queue.gate import RedisGate
from app.job_queue.gated_hints import GatedHintQueue
from app.job_queue.hints import HintQueue
from app.job_runs import Heartbeat
from app.job_threads import job_threads
from app.live_metrics import LiveMetrics
from app.membership import Membership
from app.metrics import BUILD_INFO
from app.outbound import Outbound
from app.phase_one import PhaseOne
from app.presence import Presence, presence_directory
from app.recovery import Recovery
from app.settings import RedisSettings, Settings
from app.storage.breaker_transitions import count_transitions
from app.storage.database import Database
from app.storage.processes import show_process


@dataclass(frozen=True)
class Runtime:
    """What every process of the product has."""

    settings: Settings
    agents: tuple[AgentConfig, ...]
    metrics: LiveMetrics
    database: Database
    redis: Redis
    gate: RedisGate
    hints: HintQueue
    announcer: Announcer
    webhooks_outbound: Outbound
    breakers: Breakers
    breaker_history: BreakerHistory
    gateway: AgentGateway
    agent_calls: AgentCallLog
    recovery: Recovery
    controls: Controls
    presence: Presence
    heartbeat: Heartbeat
    membership: Membership
    executor: JobExecutor

    def close(self) -> None:
        """Leave the other processes, and close every connection."""
        self.membership.leave()
        self.breakers.close()
        self.breaker_history.close()
        self.gate.close()
        self.redis.connection_pool.disconnect()
        self.agent_calls.close()
        self.database.close()
        self.metrics.close()


def build_runtime(settings: Settings, role: ProcessRole, temper: Temper) -> Runtime:
    """Put together the parts that every process has. The heartbeat beats once whoever runs jobs has started it.

    A `patient` Redis client suits a worker; web and scheduler must not wait for Redis, and take `fail_fast`.

    Raises:
        ConfigurationError: The list of agents cannot be used.
    """
    agents = load_agents(settings.agents)
    metrics = LiveMetrics(agents=[agent.name for agent in agents])
    for running in BUILD_INFO.labels["version"]:
        metrics.set(BUILD_INFO, 1, version=running)
    database = Database(
        settings.database, notices_of=None if settings.relay.url is None else settings.monitoring.environment
    )
    client = {"patient": patient_client, "fail_fast": fail_fast_client}[temper](settings.redis, metrics)
    gate = _new_gate(settings.redis)
    namespace = settings.redis.namespace
    hints = HintQueue(client, namespace) if temper == "patient" else GatedHintQueue(client, namespace, gate)
    announcer = Announcer(hints, metrics)
    agents_outbound = Outbound(settings.outbound, allow_private=settings.outbound.allow_private_agents)
    webhooks_outbound = Outbound(settings.outbound, allow_private=settings.outbound.allow_private_webhooks)
    history = BreakerHistory(database, metrics)
    breakers = Breakers(
        breaker_rules(agents, settings.breakers),
        metrics,
        shared=SharedCircuits(fail_fast_client(settings.redis, metrics), namespace, _new_gate(settings.redis)),
        on_turn=history.keep,
    )
    agent_calls = AgentCallLog(database, metrics)
    gateway = AgentGateway(
        agents,
        agents_outbound,
        metrics,
        breakers,
        settings.agents,
        threads=job_threads(settings, role),
        on_call=agent_calls.add,
    )
    timeouts = AgentTimeouts(
        database,
        settings.timeouts,
        metrics,
        gateway.configured_seconds,
        transitions=lambda connection, seconds: count_transitions(connection, within_seconds=seconds),
    )
    limits = AttemptLimits(database, gateway, timeouts)
    presence = Presence(
        role, presence_directory(settings.process.directory, settings.database.full_url.get_secret_value())
    )
    jobs = settings.jobs
    heartbeat = Heartbeat(
        database,
        metrics,
        beat_seconds=jobs.beat_seconds,
        lease_seconds=jobs.lease_seconds,
        show=lambda connection: show_process(database, connection, presence.owner, role),
    )
    asking = AgentRound(database, gateway, metrics, cache_seconds=jobs.answer_cache_seconds, limits=limits)
    bodies: dict[JobKind, JobBody] = {
        JobKind.PHASE1: PhaseOne(database, asking, metrics),
        JobKind.ANALYSIS: AnalysisJob(database, asking),
    }
    return Runtime(
        settings=settings,
        agents=agents,
        metrics=metrics,
        database=database,
        redis=client,
        gate=gate,
        hints=hints,
        announcer=announcer,
        webhooks_outbound=webhooks_outbound,
        breakers=breakers,
        breaker_history=history,
        gateway=gateway,
        agent_calls=agent_calls,
        recovery=Recovery(database, announcer, jobs, metrics),
        controls=Controls(database, hints, jobs),
        presence=presence,
        heartbeat=heartbeat,
        membership=Membership(database, presence, heartbeat, metrics, crash_limit=jobs.crash_limit),
        executor=JobExecutor(database, jobs, bodies, heartbeat, metrics, owner=presence.owner),
    )


def _new_gate(settings: RedisSettings) -> RedisGate:
    return RedisGate(limit_seconds=settings.fail_fast_timeout_seconds, pause_seconds=settings.fail_fast_pause_seconds)
