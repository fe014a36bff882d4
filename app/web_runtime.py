"""The parts of a web process, put together once by its entry file."""

from __future__ import annotations

from dataclasses import dataclass

from app.analyses import Analyses
from app.approval import Approvals
from app.bootstrap_token import BootstrapToken
from app.breaker_control import BreakerControl
from app.breaker_status import BreakerStatus
from app.dead_letters import DeadLetters
from app.diagnostics import Diagnostics
from app.domain.jobs import JobKind, RunVia
from app.domain.processes import ProcessRole
from app.health import HealthChecks
from app.in_place import InPlaceRuns
from app.levels import Levels
from app.runtime import Runtime, build_runtime
from app.settings import Settings
from app.tokens import Tokens
from app.webhooks import Webhooks


@dataclass(frozen=True)
class WebRuntime(Runtime):
    """What the web process has beside."""

    in_place: InPlaceRuns
    analyses: Analyses
    approvals: Approvals
    dead_letters: DeadLetters
    breaker_control: BreakerControl
    breaker_status: BreakerStatus
    tokens: Tokens
    bootstrap_token: BootstrapToken
    webhooks: Webhooks
    health: HealthChecks
    diagnostics: Diagnostics
    levels: Levels

    def close(self) -> None:
        """Give back what still runs in place, end the threads, and close every connection."""
        self.in_place.stop(grace_seconds=0)
        self.health.close()
        self.levels.close()
        super().close()


def build_web_runtime(settings: Settings) -> WebRuntime:
    """Put together a web process.

    Raises:
        ConfigurationError: The list of agents cannot be used.
    """
    shared = build_runtime(settings, ProcessRole.WEB, "fail_fast")
    health = HealthChecks(shared.database, shared.redis)
    # Levels are the same for all processes, so only one kind of process tells them.
    levels = Levels(shared.database, shared.redis, shared.breakers, settings.jobs, settings.web)
    shared.metrics.registry.register(levels)
    tokens = Tokens(shared.database)
    breaker_status = BreakerStatus(shared.database, shared.breakers)
    in_place = InPlaceRuns(
        shared.executor, shared.metrics, via=RunVia.SYNC, limits={JobKind.PHASE1: settings.web.in_place_runs}
    )
    return WebRuntime(
        **vars(shared),
        in_place=in_place,
        analyses=Analyses(
            shared.database, shared.announcer, settings.jobs, shared.metrics, channels=shared.gateway.channels
        ),
        approvals=Approvals(shared.database, shared.announcer, in_place, settings.jobs, shared.metrics),
        dead_letters=DeadLetters(shared.database, shared.announcer, settings.jobs, shared.metrics),
        breaker_control=BreakerControl(shared.database, shared.breakers),
        breaker_status=breaker_status,
        tokens=tokens,
        bootstrap_token=BootstrapToken(tokens, settings.web.bootstrap_admin_token),
        webhooks=Webhooks(shared.database, shared.webhooks_outbound.check_target),
        health=health,
        diagnostics=Diagnostics(shared.database, health, breaker_status, settings.jobs),
        levels=levels,
    )
