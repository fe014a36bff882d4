"""Keep the changes of state of the agents' circuit breakers.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "marketplace_breaker_transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.String(length=63), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=False),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("actor", sa.String(length=100)),
        sa.Column("reason", sa.Text()),
        sa.Column("error_code", sa.String(length=50)),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_breaker_transitions")),
    )
    op.create_index(
        "ix_marketplace_breaker_transitions_agent", "marketplace_breaker_transitions", ["agent", "at", "id"]
    )
    op.create_index("ix_marketplace_breaker_transitions_at", "marketplace_breaker_transitions", ["at", "id"])

    # A name of an agent may have that many characters.
    with op.batch_alter_table("marketplace_agent_answers") as answers:
        answers.alter_column("agent", type_=sa.String(length=63), existing_nullable=False)


def downgrade() -> None:
    """Undo this step."""
    with op.batch_alter_table("marketplace_agent_answers") as answers:
        answers.alter_column("agent", type_=sa.String(length=40), existing_nullable=False)
    op.drop_table("marketplace_breaker_transitions")
