"""The last good answer of each agent to each question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, delete, select, type_coerce

from app.storage.clock import now_plus, once_now_plus
from app.storage.database import Database
from app.storage.schema import agent_answers


@dataclass(frozen=True)
class KeptAnswer:
    """An answer that an agent gave."""

    answer: Mapping[str, Any]
    answered_at: datetime
    age_seconds: float
    """By the database's clock."""


def keep_answer(
    database: Database, connection: Connection, *, agent: str, purpose: str, digest: str, answer: Mapping[str, object]
) -> None:
    """Put this answer in the place of the one before it."""
    statement = database.insert(agent_answers).values(
        agent=agent, purpose=purpose, question_hash=digest, answer=dict(answer), answered_at=now_plus()
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[agent_answers.c.agent, agent_answers.c.purpose, agent_answers.c.question_hash],
            set_={"answer": statement.excluded.answer, "answered_at": statement.excluded.answered_at},
        )
    )


def kept_answer(
    connection: Connection, *, agent: str, purpose: str, digest: str, newer_than_seconds: float
) -> KeptAnswer | None:
    """Return the last good answer, or None when there is none that is new enough."""
    age = now_plus() - type_coerce(agent_answers.c.answered_at, BigInteger)
    row = connection.execute(
        select(agent_answers.c.answer, agent_answers.c.answered_at, age.label("age")).where(
            agent_answers.c.agent == agent,
            agent_answers.c.purpose == purpose,
            agent_answers.c.question_hash == digest,
            agent_answers.c.answered_at > now_plus(-newer_than_seconds),
        )
    ).one_or_none()
    return None if row is None else KeptAnswer(row.answer, row.answered_at, max(0, row.age) / 1000)


def forget_answers(connection: Connection, *, older_than_seconds: float) -> int:
    """Delete the answers that nobody may use any more; returns how many."""
    return connection.execute(
        delete(agent_answers).where(agent_answers.c.answered_at <= once_now_plus(-older_than_seconds))
    ).rowcount
