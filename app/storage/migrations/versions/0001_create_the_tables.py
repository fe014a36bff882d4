"""Create the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "marketplace_agent_answers",
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("question_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent", "purpose", "question_hash", name=op.f("pk_marketplace_agent_answers")),
    )
    op.create_index("ix_marketplace_agent_answers_answered", "marketplace_agent_answers", ["answered_at"], unique=False)
    op.create_table(
        "marketplace_api_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_marketplace_api_tokens_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_marketplace_api_tokens_token_hash")),
    )
    op.create_table(
        "marketplace_audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("target_type", sa.String(length=50), nullable=False),
        sa.Column("target_id", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_audit_log")),
    )
    op.create_index("ix_marketplace_audit_log_at", "marketplace_audit_log", ["at", "id"], unique=False)
    op.create_index(
        "ix_marketplace_audit_log_target", "marketplace_audit_log", ["target_type", "target_id"], unique=False
    )
    op.create_table(
        "marketplace_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_events")),
    )
    op.create_index("ix_marketplace_events_created", "marketplace_events", ["created_at", "id"], unique=False)
    op.create_index("ix_marketplace_events_job", "marketplace_events", ["job_id"], unique=False)
    op.create_table(
        "marketplace_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("status", sa.String(length=50), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("channels", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("context", sa.Text(), nullable=True),
        sa.Column("plan_data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("notes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("rejected_at", sa.BigInteger(), nullable=True),
        sa.Column("rejected_by", sa.String(length=100), nullable=True),
        sa.Column("rejection_reason", sa.Text(), nullable=True),
        sa.Column("phase1_job_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_plans")),
    )
    op.create_index("ix_marketplace_plans_created", "marketplace_plans", ["created_at", "id"], unique=False)
    op.create_index("ix_marketplace_plans_status", "marketplace_plans", ["status", "created_at"], unique=False)
    op.create_index(
        "ix_marketplace_plans_unlatched",
        "marketplace_plans",
        ["approved_at"],
        unique=False,
        sqlite_where=sa.text("status = 'approved' AND phase1_job_id IS NULL"),
        postgresql_where=sa.text("status = 'approved' AND phase1_job_id IS NULL"),
    )
    op.create_table(
        "marketplace_webhook_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_webhook_subscriptions")),
    )
    op.create_table(
        "marketplace_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until_at", sa.BigInteger(), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(status = 'active') = (lease_until_at IS NOT NULL)",
            name=op.f("ck_marketplace_deliveries_active_has_lease"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["marketplace_events.id"], name=op.f("fk_marketplace_deliveries_event_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["marketplace_webhook_subscriptions.id"],
            name=op.f("fk_marketplace_deliveries_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_deliveries")),
        sa.UniqueConstraint(
            "event_id", "subscription_id", name=op.f("uq_marketplace_deliveries_event_id_subscription_id")
        ),
    )
    op.create_index(
        "ix_marketplace_deliveries_due", "marketplace_deliveries", ["status", "next_attempt_at"], unique=False
    )
    op.create_table(
        "marketplace_job_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("retry_of", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=50), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("error_count", sa.Integer(), nullable=False),
        sa.Column("crash_count", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until_at", sa.BigInteger(), nullable=True),
        sa.Column("available_at", sa.BigInteger(), nullable=False),
        sa.Column("next_dispatch_at", sa.BigInteger(), nullable=False),
        sa.Column("dispatch_count", sa.Integer(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("timeout_seconds", sa.Float(), nullable=False),
        sa.Column("timeout_reason", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("route", sa.String(length=20), nullable=False),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("error_code", sa.String(length=50), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(status = 'active') = (lease_until_at IS NOT NULL)",
            name=op.f("ck_marketplace_job_executions_active_has_lease"),
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["marketplace_plans.id"], name=op.f("fk_marketplace_job_executions_plan_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_job_executions")),
        sa.UniqueConstraint("job_id", name=op.f("uq_marketplace_job_executions_job_id")),
        sa.UniqueConstraint(
            "plan_id", "kind", "generation", name=op.f("uq_marketplace_job_executions_plan_id_kind_generation")
        ),
    )
    op.create_index(
        "ix_marketplace_job_executions_created", "marketplace_job_executions", ["created_at", "job_id"], unique=False
    )
    op.create_index(
        "ix_marketplace_job_executions_due",
        "marketplace_job_executions",
        ["kind", "status", "next_dispatch_at"],
        unique=False,
    )
    op.create_index(
        "ix_marketplace_job_executions_lease", "marketplace_job_executions", ["status", "lease_until_at"], unique=False
    )
    op.create_index(
        "uq_marketplace_job_executions_open",
        "marketplace_job_executions",
        ["plan_id", "kind"],
        unique=True,
        sqlite_where=sa.text("status IN ('pending', 'active')"),
        postgresql_where=sa.text("status IN ('pending', 'active')"),
    )
    op.create_table(
        "marketplace_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.Column("priority", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["marketplace_plans.id"], name=op.f("fk_marketplace_tasks_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_tasks")),
        sa.UniqueConstraint("plan_id", "phase", "item_key", name=op.f("uq_marketplace_tasks_plan_id_phase_item_key")),
    )
    op.create_table(
        "marketplace_webhook_subscription_events",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["marketplace_webhook_subscriptions.id"],
            name=op.f("fk_marketplace_webhook_subscription_events_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "subscription_id", "event_type", name=op.f("pk_marketplace_webhook_subscription_events")
        ),
    )
    op.create_table(
        "marketplace_dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=50), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("history", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["marketplace_job_executions.job_id"], name=op.f("fk_marketplace_dead_letters_job_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_dead_letters")),
        sa.UniqueConstraint("job_id", name=op.f("uq_marketplace_dead_letters_job_id")),
    )
    op.create_index(
        "ix_marketplace_dead_letters_archived", "marketplace_dead_letters", ["archived_at", "job_id"], unique=False
    )
    op.create_table(
        "marketplace_job_attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("error_code", sa.String(length=50), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["marketplace_job_executions.job_id"], name=op.f("fk_marketplace_job_attempts_job_id")
        ),
        sa.PrimaryKeyConstraint("job_id", "fence", name=op.f("pk_marketplace_job_attempts")),
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("marketplace_job_attempts")
    op.drop_index("ix_marketplace_dead_letters_archived", table_name="marketplace_dead_letters")
    op.drop_table("marketplace_dead_letters")
    op.drop_table("marketplace_webhook_subscription_events")
    op.drop_table("marketplace_tasks")
    op.drop_index(
        "uq_marketplace_job_executions_open",
        table_name="marketplace_job_executions",
        sqlite_where=sa.text("status IN ('pending', 'active')"),
        postgresql_where=sa.text("status IN ('pending', 'active')"),
    )
    op.drop_index("ix_marketplace_job_executions_lease", table_name="marketplace_job_executions")
    op.drop_index("ix_marketplace_job_executions_due", table_name="marketplace_job_executions")
    op.drop_index("ix_marketplace_job_executions_created", table_name="marketplace_job_executions")
    op.drop_table("marketplace_job_executions")
    op.drop_index("ix_marketplace_deliveries_due", table_name="marketplace_deliveries")
    op.drop_table("marketplace_deliveries")
    op.drop_table("marketplace_webhook_subscriptions")
    op.drop_index(
        "ix_marketplace_plans_unlatched",
        table_name="marketplace_plans",
        sqlite_where=sa.text("status = 'approved' AND phase1_job_id IS NULL"),
        postgresql_where=sa.text("status = 'approved' AND phase1_job_id IS NULL"),
    )
    op.drop_index("ix_marketplace_plans_status", table_name="marketplace_plans")
    op.drop_index("ix_marketplace_plans_created", table_name="marketplace_plans")
    op.drop_table("marketplace_plans")
    op.drop_index("ix_marketplace_events_job", table_name="marketplace_events")
    op.drop_index("ix_marketplace_events_created", table_name="marketplace_events")
    op.drop_table("marketplace_events")
    op.drop_index("ix_marketplace_audit_log_target", table_name="marketplace_audit_log")
    op.drop_index("ix_marketplace_audit_log_at", table_name="marketplace_audit_log")
    op.drop_table("marketplace_audit_log")
    op.drop_table("marketplace_api_tokens")
    op.drop_index("ix_marketplace_agent_answers_answered", table_name="marketplace_agent_answers")
    op.drop_table("marketplace_agent_answers")
