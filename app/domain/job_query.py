"""The search language for jobs: `status:failed kind:phase1 agent:shein plan:<id> since:1h`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from app.domain.errors import InvalidInputError
from app.domain.identifiers import parse_id
from app.domain.jobs import JobKind, JobStatus
from app.domain.spans import parse_span

_AGENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_Name = TypeVar("_Name", bound=StrEnum)


@dataclass(frozen=True)
class JobQuery:
    """Which jobs are wanted; None means any. All conditions hold together."""

    status: JobStatus | None = None
    kind: JobKind | None = None
    agent: str | None = None
    plan_id: UUID | None = None
    since_seconds: int | None = None


def parse_job_query(text: str) -> JobQuery:
    """Read `key:value` conditions, separated by spaces.

    Raises:
        InvalidInputError: A condition cannot be read; the field is `q`.

    >>> parse_job_query("status:failed since:1h")
    JobQuery(status=<JobStatus.FAILED: 'failed'>, kind=None, agent=None, plan_id=None, since_seconds=3600)
    """
    found: dict[str, object] = {}
    for condition in text.split():
        key, colon, value = condition.partition(":")
        if not colon or key not in _KEYS:
            raise _wrong(f"{_shown(condition)} is no condition: write {', '.join(f'{known}:...' for known in _KEYS)}")
        field, read = _KEYS[key]
        if field in found:
            raise _wrong(f"{key}: is given twice")
        found[field] = read(value)
    return JobQuery(**found)  # type: ignore[arg-type]  # each reader returns the type of its field


def _one_of(names: type[_Name]) -> Callable[[str], _Name]:
    def read(value: str) -> _Name:
        try:
            return names(value)
        except ValueError:
            raise _wrong(f"{_shown(value)} is not one of {', '.join(names)}") from None

    return read


def _agent(value: str) -> str:
    if not _AGENT.fullmatch(value):
        raise _wrong(f"{_shown(value)} is no name of an agent or channel")
    return value


def _plan(value: str) -> UUID:
    return parse_id("q", value)


def _since(value: str) -> int:
    return parse_span("q", value)


_KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "status": ("status", _one_of(JobStatus)),
    "kind": ("kind", _one_of(JobKind)),
    "agent": ("agent", _agent),
    "plan": ("plan_id", _plan),
    "since": ("since_seconds", _since),
}


def _wrong(message: str) -> InvalidInputError:
    return InvalidInputError("q", message)


def _shown(text: str) -> str:
    return repr(text[:60])
