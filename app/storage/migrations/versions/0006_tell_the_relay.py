"""Keep what the pipeline tells the relay, until the relay has it.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NOTICES = "marketplace_notices"
_LETTERS = "marketplace_dead_letters"


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        _NOTICES,
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert", sa.String(length=100), nullable=False),
        sa.Column("issue", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("data", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200)),
        sa.Column("error_message", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.CheckConstraint(
            "(status = 'active') = (lease_owner IS NOT NULL)", name=op.f("ck_marketplace_notices_active_has_owner")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_marketplace_notices")),
        sa.UniqueConstraint("id", name=op.f("uq_marketplace_notices_id")),
    )
    op.create_index("ix_marketplace_notices_issue", _NOTICES, ["issue", "number"])
    op.create_index("ix_marketplace_notices_ended", _NOTICES, ["ended_at"])
    for name, columns in (("open", ["number"]), ("held", ["next_attempt_at", "issue"])):
        _create_partial_index(f"ix_marketplace_notices_{name}", _NOTICES, columns, "status IN ('pending', 'active')")
    _create_partial_index(
        "ix_marketplace_dead_letters_waiting", _LETTERS, ["error_class", "kind"], "status = 'waiting'"
    )


def downgrade() -> None:
    """Undo this step."""
    op.drop_index("ix_marketplace_dead_letters_waiting", _LETTERS)
    op.drop_table(_NOTICES)


def _create_partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
