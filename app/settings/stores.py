"""The settings of the two stores: the database and Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from app.settings.credentials import with_credentials
from app.settings.groups import Group, Seconds


class DatabaseSettings(Group):
    """SQLite file or PostgreSQL server."""

    url: SecretStr = SecretStr("sqlite:///var/marketplace.db")
    """Where the data is: `sqlite:///PATH` for one machine, `postgresql://USER:PASSWORD@HOST/NAME` for several."""
    password: Annotated[SecretStr, Field(min_length=1)] | None = None
    """The password for a URL without one, as it is: nothing in it needs percent-encoding."""
    pool_size: Annotated[int, Field(ge=1, le=200)] = 20
    """Most connections that one process opens."""
    lock_timeout_seconds: Seconds = 5.0
    """Longest wait for a free connection, or for the SQLite write lock."""

    @field_validator("url")
    @classmethod
    def _is_supported(cls, value: SecretStr) -> SecretStr:
        scheme = value.get_secret_value().partition(":")[0]
        if scheme not in {"sqlite", "postgresql", "postgres", "postgresql+psycopg"}:
            raise ValueError("must begin with sqlite:///, postgresql:// or postgres://")
        return value

    @property
    def full_url(self) -> SecretStr:
        """The URL with its password, wherever that came from."""
        return _full_url(self.url, None, self.password)

    @model_validator(mode="after")
    def _has_one_password(self) -> DatabaseSettings:
        _full_url(self.url, None, self.password)
        return self


class RedisSettings(Group):
    """Redis or Valkey."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """The server: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database number."""
    username: Annotated[str, Field(min_length=1)] | None = None
    """The user for a URL without one, as it is; Redis' own `default` when empty."""
    password: Annotated[SecretStr, Field(min_length=1)] | None = None
    """The password for a URL without one, as it is: nothing in it needs percent-encoding."""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9:_{}-]{1,64}$")] = "{marketplace}"
    """Prefix of every key. The braces keep all keys in one slot of a cluster."""
    pool_max_connections: Annotated[int, Field(ge=1, le=50)] = 50
    """Most connections that one process opens with each of its clients."""
    pool_wait_seconds: Seconds = 5.0
    """Longest wait of a worker for a free connection."""
    timeout_seconds: Seconds = 5.0
    """Longest wait of a worker for a connection or an answer."""
    fail_fast_timeout_seconds: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Longest wait of the API and the scheduler, for name, connection, handshake and answer together."""
    fail_fast_pause_seconds: Annotated[float, Field(ge=1, le=60)] = 1.0
    """When Redis did not answer them, they leave it alone for this long; then one call tries again."""
    reconnect_base_seconds: Seconds = 0.05
    """Pause of a worker before it tries again while Redis is away; it doubles with each try, with jitter."""
    reconnect_cap_seconds: Seconds = 1.0
    """Longest pause between two tries."""
    tls_ca_file: Path | None = None
    """Certificate authority of a `rediss://` server; the system's own when empty."""
    tls_check_hostname: bool = True
    """Whether the certificate of a `rediss://` server must name its host."""

    @field_validator("url")
    @classmethod
    def _is_supported(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("must begin with redis://, rediss:// (TLS) or unix://")
        return value

    @property
    def full_url(self) -> SecretStr:
        """The URL with its user and password, wherever these came from."""
        return _full_url(self.url, self.username, self.password)

    @model_validator(mode="after")
    def _has_one_password(self) -> RedisSettings:
        _full_url(self.url, self.username, self.password)
        return self


def _full_url(url: SecretStr, username: str | None, password: SecretStr | None) -> SecretStr:
    plain = None if password is None else password.get_secret_value()
    return SecretStr(with_credentials(url.get_secret_value(), username=username, password=plain))
