"""The parts of a web process, put together once by its entry file."""

from __future__ import annotations

from dataclasses import dataclass

from app.analyses import Analyses
from app.approval import Approvals
from app.diagnostics import Diagnostics
from app.health import HealthChecks
from app.levels import Levels
from app.runtime import Runtime, build_runtime
from app.settings import Settings
from app.tokens import Tokens
from app.webhooks import Webhooks


@dataclass(frozen=True)
class WebRuntime(Runtime):
    """What the web process has beside."""

    analyses: Analyses
    approvals: Approvals
    tokens: Tokens
    webhooks: Webhooks
    health: HealthChecks
    diagnostics: Diagnostics

    def close(self) -> None:
        """Close every connection, and end the threads of the health checks."""
        self.health.close()
        super().close()


def build_web_runtime(settings: Settings) -> WebRuntime:
    """Put together a web process.

    Raises:
        ConfigurationError: The list of agents cannot be used.
    """
    shared = build_runtime(settings, "fail_fast")
    health = HealthChecks(shared.database, shared.redis)
    # Levels are the same for all processes, so only one kind of process tells them.
    shared.metrics.registry.register(
        Levels(shared.database, shared.redis, stuck_after_seconds=settings.jobs.stuck_after_seconds)
    )
    return WebRuntime(
        **vars(shared),
        analyses=Analyses(shared.database, shared.announcer, settings.jobs, channels=shared.gateway.channels),
        approvals=Approvals(shared.database, shared.announcer, settings.jobs),
        tokens=Tokens(shared.database),
        webhooks=Webhooks(shared.database, shared.webhooks_outbound.check_target),
        health=health,
        diagnostics=Diagnostics(shared.database, health, settings.jobs),
    )
