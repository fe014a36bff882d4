"""The tables. Their protocol is docs/reference/job-protocol.md; migrations bring them about."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.clock import Timestamp

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

#: Rows of a queue change all the time, among many that never change again: with the usual fifth of a table, PostgreSQL
#: would hardly ever note which pages an index alone can answer for.
_AUTOVACUUM = {
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_insert_scale_factor": 0.01,
    "autovacuum_analyze_scale_factor": 0.01,
}

plans = Table(
    "marketplace_plans",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", String(300), nullable=False),
    Column("status", String(50), nullable=False),
    Column("origin", String(20), nullable=False),
    Column("channels", Json, nullable=False),
    Column("context", Text),
    Column("plan_data", Json),
    Column("notes", Json, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("approved_at", Timestamp),
    Column("approved_by", String(100)),
    Column("rejected_at", Timestamp),
    Column("rejected_by", String(100)),
    Column("rejection_reason", Text),
    # The latch: set once, by the job whose tasks count.
    Column("phase1_job_id", Uuid),
    Index("ix_marketplace_plans_created", "created_at", "id"),
    Index("ix_marketplace_plans_status", "status", "created_at"),
    # By it alone, and in the order of the other index, the search for plans without a job finds them. SQLite, which
    # knows no numbers of rows, would take the index of all plans in the state if this one did not have that column too.
    Index(
        "ix_marketplace_plans_unlatched",
        "status",
        "id",
        "approved_at",
        sqlite_where=text("status = 'approved' AND phase1_job_id IS NULL"),
        postgresql_where=text("status = 'approved' AND phase1_job_id IS NULL"),
    ),
    postgresql_with=_AUTOVACUUM,
)

_OPEN = text("status IN ('pending', 'active')")
_PENDING = text("status = 'pending'")
#: Few among many that wait, and looked for every tick. SQLite takes their index only for these very words, and only
#: when it has the columns of the index of all that wait.
CRASHED = text("status = 'pending' AND crash_count > 0")

jobs = Table(
    "marketplace_job_executions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False, unique=True),
    Column("plan_id", Uuid, ForeignKey("marketplace_plans.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("generation", Integer, nullable=False, default=1),
    Column("retry_of", Uuid),
    Column("status", String(50), nullable=False),
    Column("progress", Integer, nullable=False, default=0),
    # Claims so far.
    Column("attempt_number", Integer, nullable=False, default=0),
    # Recoverable failures so far.
    Column("error_count", Integer, nullable=False, default=0),
    # Leases that ran out so far.
    Column("crash_count", Integer, nullable=False, default=0),
    # Only ever grows; every write of a run carries the value that its claim returned.
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", String(200)),
    Column("lease_until_at", Timestamp),
    Column("available_at", Timestamp, nullable=False),
    Column("next_dispatch_at", Timestamp, nullable=False),
    Column("dispatch_count", Integer, nullable=False, default=0),
    Column("deadline_at", Timestamp, nullable=False),
    Column("timeout_seconds", Float, nullable=False),
    Column("timeout_reason", Json, nullable=False),
    Column("route", String(20), nullable=False, default="queue"),
    Column("request_id", String(100)),
    Column("error_code", String(50)),
    Column("error_message", Text),
    Column("result", Json),
    Column("created_at", Timestamp, nullable=False),
    Column("started_at", Timestamp),
    Column("completed_at", Timestamp),
    UniqueConstraint("plan_id", "kind", "generation"),
    CheckConstraint("(status = 'active') = (lease_until_at IS NOT NULL)", name="active_has_lease"),
    Index(
        "uq_marketplace_job_executions_open",
        "plan_id",
        "kind",
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index("ix_marketplace_job_executions_due", "kind", "status", "next_dispatch_at"),
    Index(
        "ix_marketplace_job_executions_crashed",
        "kind",
        "status",
        "next_dispatch_at",
        sqlite_where=CRASHED,
        postgresql_where=CRASHED,
    ),
    Index(
        "ix_marketplace_job_executions_waiting",
        "kind",
        "available_at",
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    ),
    Index("ix_marketplace_job_executions_lease", "status", "lease_until_at"),
    Index("ix_marketplace_job_executions_created", "created_at", "job_id"),
    postgresql_with=_AUTOVACUUM,
)

attempts = Table(
    "marketplace_job_attempts",
    metadata,
    Column("job_id", Uuid, ForeignKey("marketplace_job_executions.job_id"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("attempt_number", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    # The database's own default, for a process of the version before still writes attempts without it.
    Column("via", String(20), nullable=False, server_default="queue"),
    Column("started_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    Column("outcome", String(20), nullable=False),
    Column("error_code", String(50)),
    Column("error_message", Text),
    Column("retry_at", Timestamp),
)

tasks = Table(
    "marketplace_tasks",
    metadata,
    # uuid5(plan, phase, item_key): the same item is the same row, whoever writes it.
    Column("id", Uuid, primary_key=True),
    Column("plan_id", Uuid, ForeignKey("marketplace_plans.id"), nullable=False),
    Column("phase", Integer, nullable=False),
    Column("item_key", String(100), nullable=False),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("channel", String(40)),
    Column("priority", String(10), nullable=False),
    Column("source", String(20), nullable=False),
    Column("needs_review", Boolean, nullable=False, default=False),
    Column("job_id", Uuid, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("plan_id", "phase", "item_key"),
)

events = Table(
    "marketplace_events",
    metadata,
    # uuid5(job_id, fence, type): one event per transition, whoever writes it.
    Column("id", Uuid, primary_key=True),
    Column("type", String(50), nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("plan_id", Uuid, nullable=False),
    Column("data", Json, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Index("ix_marketplace_events_job", "job_id"),
    Index("ix_marketplace_events_created", "created_at", "id"),
)

subscriptions = Table(
    "marketplace_webhook_subscriptions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("created_by", String(100), nullable=False),
)

subscription_events = Table(
    "marketplace_webhook_subscription_events",
    metadata,
    Column(
        "subscription_id",
        Uuid,
        ForeignKey("marketplace_webhook_subscriptions.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("event_type", String(50), primary_key=True),
)

deliveries = Table(
    "marketplace_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event_id", Uuid, ForeignKey("marketplace_events.id"), nullable=False),
    Column(
        "subscription_id",
        Uuid,
        ForeignKey("marketplace_webhook_subscriptions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    # pending, active, delivered or failed: the job protocol in small.
    Column("status", String(20), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("next_attempt_at", Timestamp, nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", String(200)),
    Column("lease_until_at", Timestamp),
    Column("response_status", Integer),
    Column("error_message", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("delivered_at", Timestamp),
    UniqueConstraint("event_id", "subscription_id"),
    CheckConstraint("(status = 'active') = (lease_until_at IS NOT NULL)", name="active_has_lease"),
    Index("ix_marketplace_deliveries_due", "status", "next_attempt_at"),
)

#: What the relay does not have yet. A partial index serves no parameter: only these very words take it.
UNDELIVERED = text("status IN ('pending', 'active')")

notices = Table(
    "marketplace_notices",
    metadata,
    # What is told to the relay, in the order in which it was written; times may be equal, and clocks are set back.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # It follows from what the notice tells of: the same thing is told once, whoever writes it.
    Column("id", Uuid, nullable=False, unique=True),
    Column("alert", String(100), nullable=False),
    # The alert and the labels of its subject: notices of one issue are delivered in order.
    Column("issue", String(300), nullable=False),
    # firing or resolved.
    Column("state", String(20), nullable=False),
    # app.domain.notices.Notice, but for the id and the time.
    Column("data", Json, nullable=False),
    # pending, active, delivered or expired.
    Column("status", String(20), nullable=False, default="pending"),
    Column("attempt", Integer, nullable=False, default=0),
    # Of an active one, when its lease ends.
    Column("next_attempt_at", Timestamp, nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", String(200)),
    Column("error_message", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    CheckConstraint("(status = 'active') = (lease_owner IS NOT NULL)", name="active_has_owner"),
    Index("ix_marketplace_notices_issue", "issue", "number"),
    Index("ix_marketplace_notices_ended", "ended_at"),
    Index("ix_marketplace_notices_open", "number", sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED),
    Index(
        "ix_marketplace_notices_held",
        "next_attempt_at",
        "issue",
        sqlite_where=UNDELIVERED,
        postgresql_where=UNDELIVERED,
    ),
)

dead_letters = Table(
    "marketplace_dead_letters",
    metadata,
    Column("id", Uuid, primary_key=True),
    # None for a message that names no job of ours.
    Column("job_id", Uuid, ForeignKey("marketplace_job_executions.job_id"), unique=True),
    Column("plan_id", Uuid),
    Column("kind", String(20)),
    # Defaults of the database's own, for a process of the version before still writes letters without them.
    Column("queue", String(50), nullable=False, server_default=""),
    Column("reason", String(50), nullable=False),
    Column("error_class", String(20), nullable=False, server_default="permanent"),
    Column("error_message", Text),
    Column("payload", Json, nullable=False),
    Column("history", Json, nullable=False),
    Column("archived_at", Timestamp, nullable=False),
    # waiting for a person, retried as another job, or discarded.
    Column("status", String(20), nullable=False, server_default="waiting"),
    Column("retried_as", Uuid),
    Column("resolved_at", Timestamp),
    Column("resolved_by", String(100)),
    Column("resolution_reason", Text),
    Index("ix_marketplace_dead_letters_archived", "archived_at", "id"),
    Index("ix_marketplace_dead_letters_status", "status", "archived_at", "id"),
    Index(
        "ix_marketplace_dead_letters_waiting",
        "error_class",
        "kind",
        sqlite_where=text("status = 'waiting'"),
        postgresql_where=text("status = 'waiting'"),
    ),
)

processes = Table(
    "marketplace_processes",
    metadata,
    # What leases and attempts name.
    Column("owner", String(200), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("seen_at", Timestamp, nullable=False),
    Index("ix_marketplace_processes_role", "role", "seen_at"),
)

controls = Table(
    "marketplace_controls",
    metadata,
    # What operators have switched: "mode", and "queue:<kind>" for each queue. No row is the default.
    Column("name", String(50), primary_key=True),
    Column("value", String(20), nullable=False),
    Column("reason", Text),
    Column("changed_at", Timestamp, nullable=False),
    Column("changed_by", String(100), nullable=False),
)

breaker_transitions = Table(
    "marketplace_breaker_transitions",
    metadata,
    # Each change of the state of an agent's circuit.
    Column("id", Uuid, primary_key=True),
    Column("agent", String(63), nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("from_state", String(20), nullable=False),
    Column("to_state", String(20), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("generation", Integer, nullable=False),
    # For how long it was opened, or is held closed.
    Column("seconds", Float),
    # Of an operator: who, and why.
    Column("actor", String(100)),
    Column("reason", Text),
    # Of a failure.
    Column("error_code", String(50)),
    Column("error", Text),
    Index("ix_marketplace_breaker_transitions_agent", "agent", "at", "id"),
    Index("ix_marketplace_breaker_transitions_at", "at", "id"),
)

audit_log = Table(
    "marketplace_audit_log",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", Timestamp, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(50), nullable=False),
    Column("target_type", String(50), nullable=False),
    Column("target_id", String(100), nullable=False),
    Column("reason", Text),
    Column("details", Json),
    Column("request_id", String(100)),
    Index("ix_marketplace_audit_log_at", "at", "id"),
    Index("ix_marketplace_audit_log_target", "target_type", "target_id"),
)

api_tokens = Table(
    "marketplace_api_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    # SHA-256 in hex of 32 random bytes: the token itself is never stored.
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
)

agent_answers = Table(
    "marketplace_agent_answers",
    metadata,
    # The last good answer of an agent to one question; the question is known by its SHA-256.
    Column("agent", String(63), primary_key=True),
    Column("purpose", String(20), primary_key=True),
    Column("question_hash", String(64), primary_key=True),
    Column("answer", Json, nullable=False),
    Column("answered_at", Timestamp, nullable=False),
    Index("ix_marketplace_agent_answers_answered", "answered_at"),
)

agent_calls = Table(
    "marketplace_agent_calls",
    metadata,
    # How long calls took; what timeouts are learned from.
    Column("id", Uuid, primary_key=True),
    Column("agent", String(63), nullable=False),
    Column("purpose", String(20), nullable=False),
    # Opportunities of the plan that was asked about, else thousands of characters of context.
    Column("size", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("limit_seconds", Float, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("probe", Boolean, nullable=False),
    Column("called_at", Timestamp, nullable=False),
    Index("ix_marketplace_agent_calls_newest", "agent", "purpose", "called_at"),
    # Few calls are given the longest timeout.
    Index("ix_marketplace_agent_calls_limit", "agent", "purpose", "limit_seconds"),
    Index("ix_marketplace_agent_calls_called", "called_at"),
)
