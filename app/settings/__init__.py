"""Configuration: one frozen, typed object, read once by an entry file; each part receives its own group."""

from app.settings.groups import (
    AgentsSettings,
    BreakerSettings,
    Group,
    JobSettings,
    LogSettings,
    OutboundSettings,
    ProcessSettings,
    SchedulerSettings,
    TimeoutSettings,
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
from app.settings.monitoring import MonitoringSettings
from app.settings.relay import RelaySettings
from app.settings.stores import DatabaseSettings, RedisSettings

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
    "MonitoringSettings",
    "OutboundSettings",
    "ProcessSettings",
    "RedisSettings",
    "RelaySettings",
    "SchedulerSettings",
    "Settings",
    "TimeoutSettings",
    "WebSettings",
    "WebhookSettings",
    "WorkerSettings",
    "known_names",
    "load_settings",
    "origin_of",
]
