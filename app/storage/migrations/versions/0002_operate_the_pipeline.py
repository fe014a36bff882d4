"""Let people operate the pipeline: dead letters with an end, processes that show themselves, switches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "marketplace_controls",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("value", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_marketplace_controls")),
    )
    op.create_table(
        "marketplace_processes",
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_marketplace_processes")),
    )
    op.create_index("ix_marketplace_processes_role", "marketplace_processes", ["role", "seen_at"], unique=False)
    crashed = sa.text("status = 'pending' AND crash_count > 0")
    op.create_index(
        "ix_marketplace_job_executions_crashed",
        "marketplace_job_executions",
        ["kind", "status", "next_dispatch_at"],
        unique=False,
        sqlite_where=crashed,
        postgresql_where=crashed,
    )
    with op.batch_alter_table("marketplace_job_attempts") as attempts:
        attempts.add_column(sa.Column("via", sa.String(length=20), nullable=False, server_default="queue"))
    op.create_index(
        "ix_marketplace_job_executions_waiting",
        "marketplace_job_executions",
        ["kind", "available_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.drop_index("ix_marketplace_dead_letters_archived", table_name="marketplace_dead_letters")
    with op.batch_alter_table("marketplace_dead_letters") as letters:
        letters.alter_column("job_id", existing_type=sa.Uuid(), nullable=True)
        letters.alter_column("plan_id", existing_type=sa.Uuid(), nullable=True)
        letters.alter_column("kind", existing_type=sa.String(length=20), nullable=True)
        letters.add_column(sa.Column("queue", sa.String(length=50), nullable=False, server_default=""))
        letters.add_column(sa.Column("error_class", sa.String(length=20), nullable=False, server_default="permanent"))
        letters.add_column(sa.Column("status", sa.String(length=20), nullable=False, server_default="waiting"))
        letters.add_column(sa.Column("retried_as", sa.Uuid(), nullable=True))
        letters.add_column(sa.Column("resolved_at", sa.BigInteger(), nullable=True))
        letters.add_column(sa.Column("resolved_by", sa.String(length=100), nullable=True))
        letters.add_column(sa.Column("resolution_reason", sa.Text(), nullable=True))
    op.execute(
        "UPDATE marketplace_dead_letters SET"
        " queue = CASE kind WHEN 'phase1' THEN 'phase1-tasks' ELSE kind END,"
        " error_class = CASE WHEN reason = 'crash_limit' THEN 'crash'"
        " WHEN reason IN ('recoverable', 'network', 'timeout', 'rate_limited', 'server_error',"
        " 'database_unavailable', 'redis_unavailable') THEN 'recoverable' ELSE 'permanent' END,"
        " retried_as = (SELECT job.job_id FROM marketplace_job_executions AS job"
        " WHERE job.retry_of = marketplace_dead_letters.job_id LIMIT 1)"
    )
    op.execute("UPDATE marketplace_dead_letters SET status = 'retried' WHERE retried_as IS NOT NULL")
    op.create_index("ix_marketplace_dead_letters_archived", "marketplace_dead_letters", ["archived_at", "id"])
    op.create_index("ix_marketplace_dead_letters_status", "marketplace_dead_letters", ["status", "archived_at", "id"])


def downgrade() -> None:
    """Undo this step; letters of messages without a job are lost."""
    op.execute("DELETE FROM marketplace_dead_letters WHERE job_id IS NULL")
    op.drop_index("ix_marketplace_dead_letters_status", table_name="marketplace_dead_letters")
    op.drop_index("ix_marketplace_dead_letters_archived", table_name="marketplace_dead_letters")
    with op.batch_alter_table("marketplace_dead_letters") as letters:
        for name in (
            "queue",
            "error_class",
            "status",
            "retried_as",
            "resolved_at",
            "resolved_by",
            "resolution_reason",
        ):
            letters.drop_column(name)
        letters.alter_column("job_id", existing_type=sa.Uuid(), nullable=False)
        letters.alter_column("plan_id", existing_type=sa.Uuid(), nullable=False)
        letters.alter_column("kind", existing_type=sa.String(length=20), nullable=False)
    op.create_index("ix_marketplace_dead_letters_archived", "marketplace_dead_letters", ["archived_at", "job_id"])
    op.drop_index("ix_marketplace_job_executions_crashed", table_name="marketplace_job_executions")
    with op.batch_alter_table("marketplace_job_attempts") as attempts:
        attempts.drop_column("via")
    op.drop_index("ix_marketplace_job_executions_waiting", table_name="marketplace_job_executions")
    op.drop_index("ix_marketplace_processes_role", table_name="marketplace_processes")
    op.drop_table("marketplace_processes")
    op.drop_table("marketplace_controls")
