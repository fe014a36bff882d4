"""Configuration: one frozen, typed object, read once by an entry file; each part receives its own group."""

from app.settings.groups import (
    AgentsSettings,
    BreakerSettings,
    DatabaseSettings,
    Group,
    JobSettings,
    LogSettings,
    OutboundSettings,
    ProcessSettings,
    RedisSettings,
    SchedulerSettings,
    WebhookSettings,
    WebSettings,
    WorkerSettings,
)
from app.settings.loading import (
    COMMAND_NAMES,
    COMMON_NAMES,
    PREFIX,
    Settings,
    known_names,
    load_settings,
    origin_of,
)

__all__ = [
    "COMMAND_NAMES",
    "COMMON_NAMES",
    "PREFIX",
    "AgentsSettings",
    "BreakerSettings",
    "DatabaseSettings",
    "Group",
    "JobSettings",
    "LogSettings",
    "OutboundSettings",
    "ProcessSettings",
    "RedisSettings",
    "SchedulerSettings",
    "Settings",
    "WebSettings",
    "WebhookSettings",
    "WorkerSettings",
    "known_names",
    "load_settings",
    "origin_of",
]
