from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInputError
from app.domain.job_query import JobQuery, parse_job_query
from app.domain.jobs import JobKind, JobStatus

PLAN = UUID("0b9c1c8e-4a52-4f0e-9a52-3a54c1f0a001")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", JobQuery()),
        ("   ", JobQuery()),
        ("status:failed", JobQuery(status=JobStatus.FAILED)),
        ("kind:phase1  agent:tiktok-shop", JobQuery(kind=JobKind.PHASE1, agent="tiktok-shop")),
        (f"plan:{PLAN}", JobQuery(plan_id=PLAN)),
        (f"plan:{str(PLAN).upper()}", JobQuery(plan_id=PLAN)),
        ("since:90s", JobQuery(since_seconds=90)),
        ("since:15m", JobQuery(since_seconds=900)),
        ("since:366d", JobQuery(since_seconds=366 * 86_400)),
    ],
)
def test_conditions_are_read(text: str, query: JobQuery) -> None:
    assert parse_job_query(text) == query


@pytest.mark.parametrize(
    "text",
    [
        "x",
        ":",
        "status:",
        "status :failed",
        "state:failed",
        "since:1",
        "since:h",
        "since:-1h",
        "since:1.5h",
        "agent:A b",
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_job_query(text)
    assert caught.value.field == "q"


@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_job_query(text)
    except InvalidInputError as error:
        assert len(error.message) < 300  # noqa: PT017 -- both ends are allowed
