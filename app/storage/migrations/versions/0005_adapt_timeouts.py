"""Keep how long calls to agents take, so that timeouts can be learned.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "marketplace_agent_calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("limit_seconds", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("probe", sa.Boolean(), nullable=False),
        sa.Column("called_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_agent_calls")),
    )
    for name, columns in (
        ("newest", ["agent", "purpose", "called_at"]),
        ("limit", ["agent", "purpose", "limit_seconds"]),
        ("called", ["called_at"]),
    ):
        op.create_index(f"ix_marketplace_agent_calls_{name}", "marketplace_agent_calls", columns, unique=False)


def downgrade() -> None:
    """Undo this step."""
    op.drop_table("marketplace_agent_calls")
