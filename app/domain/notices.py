"""Notices: what the pipeline tells the relay directly, for detection must not wait for a scrape.

A notice names an entry of the catalogue of alerts and the same subject as the rule, so that both paths speak of one
issue.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

#: Longest text of a notice; what an agent said may be megabytes long.
MOST_CHARACTERS = 2000


class NoticeState(StrEnum):
    """Whether something began or ended."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Notice(BaseModel):
    """One notice; as JSON in camelCase it is the `data` of a signed event of the type `notice`.

    The texts may hold what an agent said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    #: Follows from what it tells of, so that a repeated notice is the same one.
    id: UUID
    #: Name in the catalogue of alerts.
    alert: str = Field(max_length=100)
    state: NoticeState
    at: AwareDatetime
    environment: str = Field(max_length=63)
    #: The labels of the alert's subject.
    subject: Mapping[str, str] = {}
    #: What happened, in one line.
    summary: str = Field(max_length=MOST_CHARACTERS)
    plan_id: UUID | None = None
    job_id: UUID | None = None
    agent: str | None = Field(None, max_length=100)
    error_code: str | None = Field(None, max_length=100)
    error: str | None = Field(None, max_length=MOST_CHARACTERS)
    #: What the system has done about it by itself.
    action: str | None = Field(None, max_length=MOST_CHARACTERS)


#: Type of the signed event that carries a notice.
NOTICE_TYPE = "notice"
