"""The list of agents, from a YAML file or from a setting."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from app.domain.breaker import BreakerRules
from app.domain.channels import CHANNEL_PATTERN
from app.domain.errors import ConfigurationError, InvalidInputError
from app.outbound.targets import read_target
from app.settings import AgentsSettings, BreakerSettings

Name = Annotated[str, Field(pattern=CHANNEL_PATTERN)]


class BreakerConfig(BaseModel):
    """What is different about one agent's circuit breaker; what is left out is as the settings say."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    failure_threshold: Annotated[int, Field(ge=1, le=1000)] | None = None
    open_seconds: Annotated[float, Field(ge=0.1, le=3600)] | None = None
    success_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    half_open_probes: Annotated[int, Field(ge=1, le=100)] | None = None

    def rules(self, settings: BreakerSettings) -> BreakerRules:
        """Return the numbers that hold for this agent."""
        return BreakerRules(**settings.model_dump() | self.model_dump(exclude_none=True))


class AgentConfig(BaseModel):
    """One agent: where it is, what it speaks, and the channel that it serves."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    channel: Name
    url: str
    protocol: Literal["openai", "http"] = "openai"
    #: Which model answers; needed by `openai` only.
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    #: None leaves it to the server: some models take no other than their own.
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.2
    #: Longest time that one call may take; None leaves it to the adaptive timeouts alone.
    timeout_seconds: Annotated[float, Field(ge=1, le=120)] | None = None
    #: Calls that each process makes at once for each kind of job; None leaves it to `bulkhead_share`.
    max_concurrent_calls: Annotated[int, Field(ge=1, le=256)] | None = None
    api_key: SecretStr | None = None
    breaker: BreakerConfig = BreakerConfig()

    @field_validator("url")
    @classmethod
    def _can_be_called(cls, value: str) -> str:
        try:
            read_target(value)
        except InvalidInputError as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("api_key")
    @classmethod
    def _fits_in_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key = value.get_secret_value()
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError("must be one word of printable ASCII")
        return value

    @model_validator(mode="after")
    def _names_its_model(self) -> AgentConfig:
        if self.protocol == "openai" and self.model is None:
            raise ValueError("the openai protocol needs a model")
        return self


def load_agents(settings: AgentsSettings, environ: Mapping[str, str] | None = None) -> tuple[AgentConfig, ...]:
    """Return the configured agents; none when nothing is configured.

    Keys may stand in the environment (`api_key_env`, looked up in `environ`) or in a file (`api_key_file`).

    Raises:
        ConfigurationError: Its text has one line per problem, and no value.
    """
    agents: list[AgentConfig] = []
    problems: list[str] = []
    for position, entry in enumerate(_entries(settings)):
        try:
            agents.append(AgentConfig.model_validate(_with_key(entry, os.environ if environ is None else environ)))
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False, include_context=False)
            problems += [_described(position, detail) for detail in details]
        except InvalidInputError as error:
            problems.append(f"agents.{position}.{error}")
    for field in ("name", "channel"):
        counted = Counter(getattr(agent, field) for agent in agents)
        problems += [f"agents: {field} {value} is used {n} times" for value, n in counted.items() if n > 1]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return tuple(agents)


def breaker_rules(agents: Iterable[AgentConfig], settings: BreakerSettings) -> dict[str, BreakerRules]:
    """Return the numbers of each agent's circuit breaker, by its name."""
    return {agent.name: agent.breaker.rules(settings) for agent in agents}


def _described(position: int, detail: ErrorDetails) -> str:
    place = ".".join(["agents", str(position), *map(str, detail["loc"])])
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"


def _entries(settings: AgentsSettings) -> list[object]:
    """Return the entries of the list, each of whatever type it was written as."""
    if settings.file is not None and settings.items is not None:
        raise ConfigurationError("agents: give a file or items, not both")
    document: object = []
    if settings.file is not None:
        document = _read_yaml(settings.file)
    elif settings.items is not None:
        try:
            document = json.loads(settings.items.get_secret_value())
        except (ValueError, RecursionError):
            raise ConfigurationError("agents: the items are not JSON") from None
    if isinstance(document, dict) and set(document) == {"agents"}:
        document = document["agents"]
    if not isinstance(document, list):
        raise ConfigurationError("agents: must be a list, or an object with the one field agents")
    return document


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"agents: the file cannot be read ({type(error).__name__})") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"agents: the file is not YAML{where}") from None


def _with_key(entry: object, environ: Mapping[str, str]) -> object:
    """Return the entry with the key itself in place of where it is kept."""
    sources = ("api_key", "api_key_env", "api_key_file")
    if not isinstance(entry, dict):
        return entry
    given = [source for source in sources if source in entry]
    if len(given) > 1:
        raise InvalidInputError("api_key", f"is given by {' and '.join(given)}; one is enough")
    rest = {field: value for field, value in entry.items() if field not in sources}
    if "api_key_env" in entry:
        if str(entry["api_key_env"]) not in environ:
            raise InvalidInputError("api_key_env", "there is no such variable")
        return rest | {"api_key": environ[str(entry["api_key_env"])].strip()}
    if "api_key_file" in entry:
        try:
            return rest | {"api_key": Path(str(entry["api_key_file"])).read_text(encoding="utf-8").strip()}
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError("api_key_file", f"cannot be read ({type(error).__name__})") from None
    return entry
