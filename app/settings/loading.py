"""Reading of the settings from the environment.

Every variable is `MARKETPLACE_<GROUP>__<FIELD>`; the names that everybody uses (`DATABASE_URL`, `REDIS_URL`, `PORT`,
`LOG_LEVEL`, `SLACK_WEBHOOK_URL`) are accepted too. `<NAME>_FILE` reads the value from a file, as container secrets
come. Unknown names are refused, all problems are reported at once, and no value is ever printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from app.domain.errors import ConfigurationError
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
from app.settings.monitoring import MonitoringSettings
from app.settings.relay import RelaySettings
from app.settings.stores import DatabaseSettings, RedisSettings

PREFIX = "MARKETPLACE_"

#: Names that the field uses anyway, and the setting that each one is.
COMMON_NAMES = {
    "DATABASE_URL": ("database", "url"),
    "REDIS_URL": ("redis", "url"),
    "PORT": ("web", "port"),
    "LOG_LEVEL": ("log", "level"),
    "SLACK_WEBHOOK_URL": ("relay", "slack_webhook_url"),
}

#: `MARKETPLACE_*` names that are not settings: where the `marketplace` command finds a remote stack.
COMMAND_NAMES = frozenset({"MARKETPLACE_URL", "MARKETPLACE_TOKEN", "MARKETPLACE_TOKEN_FILE"})


class Settings(BaseSettings):
    """All settings; read once by an entry file, each part receives its own group."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    web: WebSettings = WebSettings()
    process: ProcessSettings = ProcessSettings()
    worker: WorkerSettings = WorkerSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    jobs: JobSettings = JobSettings()
    agents: AgentsSettings = AgentsSettings()
    breakers: BreakerSettings = BreakerSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    outbound: OutboundSettings = OutboundSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    relay: RelaySettings = RelaySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read our own names first, then files, then the common names."""
        return (
            init_settings,
            _WithoutFileNames(settings_cls, env_settings),
            _FileSource(settings_cls),
            _CommonNamesSource(settings_cls),
        )


def load_settings(*, ignoring: str | None = None) -> Settings:
    """Read the settings from the environment; `ignoring` is a name that is no setting and may be there nevertheless.

    Raises:
        ConfigurationError: Its text has one line per problem, naming the variable and never a value.
    """
    problems = _unknown_names(ignoring)
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_describe(detail) for detail in error.errors(include_input=False, include_url=False)]
    except (ConfigurationError, SettingsError) as error:
        # The library's own error names the group of a variable such as MARKETPLACE_JOBS, and no value.
        problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(sorted(set(problems))))
    return settings


def known_names() -> dict[str, str]:
    """Map every variable name to its group and field, as `group.field`."""
    names = {}
    for group, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)  # noqa: S101 -- every field of Settings is a group
        assert issubclass(info.annotation, Group)  # noqa: S101 -- as above
        for field in info.annotation.model_fields:
            names[f"{PREFIX}{group}__{field}".upper()] = f"{group}.{field}"
    return names


def origin_of(path: str) -> str:
    """Return where the value of `group.field` comes from: a variable's name, a file variable's name, or `default`."""
    name = next(name for name, known in known_names().items() if known == path)
    common = [known for known, target in COMMON_NAMES.items() if ".".join(target) == path]
    candidates = [name, f"{name}_FILE", *(f"{known}_FILE" for known in common), *common]
    return next((candidate for candidate in candidates if candidate in os.environ), "default")


def _unknown_names(ignored: str | None) -> list[str]:
    known = known_names()
    return [
        f"{name}: no such setting"
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and name.upper().removesuffix("_FILE") not in known
        and name not in COMMAND_NAMES
        and name != ignored
    ]


def _describe(detail: ErrorDetails) -> str:
    place = "__".join(str(part) for part in detail["loc"][:2]).upper()
    return f"{PREFIX}{place}: {detail['msg']}"


class _WithoutFileNames(PydanticBaseSettingsSource):
    """The library's environment source without names that are not plain settings.

    `<NAME>_FILE` belongs to `_FileSource`; unknown names are reported by `load_settings` under their own name.
    """

    def __init__(self, settings_cls: type[BaseSettings], inner: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._inner = inner

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._inner.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        known = set(known_names().values())
        return {
            group: {field: value for field, value in fields.items() if f"{group}.{field}" in known}
            for group, fields in self._inner().items()
            if isinstance(fields, dict)
        }


class _FileSource(PydanticBaseSettingsSource):
    """`<NAME>_FILE`: the value stands in the named file, one trailing line break ignored."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 -- the library's signature
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        targets = dict(known_names()) | {name: ".".join(path) for name, path in COMMON_NAMES.items()}
        for name, path in targets.items():
            file = os.environ.get(f"{name}_FILE")
            if file is None or f"{name}_FILE" in targets:
                continue
            try:
                text = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{name}_FILE: the file cannot be read ({type(error).__name__})") from None
            group, field = path.split(".")
            values.setdefault(group, {}).setdefault(field, text.removesuffix("\n"))
        return values


class _CommonNamesSource(PydanticBaseSettingsSource):
    """`DATABASE_URL` and the others that everybody uses."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 -- the library's signature
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, (group, field) in COMMON_NAMES.items():
            if name in os.environ:
                values.setdefault(group, {})[field] = os.environ[name]
        return values
