"""Give the search for plans without a job an index that it need not leave.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


#: As in `app.storage.schema`.
_AUTOVACUUM = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_insert_scale_factor": "0.01",
    "autovacuum_analyze_scale_factor": "0.01",
}
_TABLES = ("marketplace_plans", "marketplace_job_executions")


def upgrade() -> None:
    """Apply this step."""
    _replace("status", "id", "approved_at")
    _on_postgresql("SET (" + ", ".join(f"{name} = {value}" for name, value in _AUTOVACUUM.items()) + ")")


def downgrade() -> None:
    """Undo this step."""
    _on_postgresql("RESET (" + ", ".join(_AUTOVACUUM) + ")")
    _replace("approved_at")


def _replace(*columns: str) -> None:
    unlatched = sa.text("status = 'approved' AND phase1_job_id IS NULL")
    op.drop_index("ix_marketplace_plans_unlatched", table_name="marketplace_plans")
    op.create_index(
        "ix_marketplace_plans_unlatched",
        "marketplace_plans",
        list(columns),
        unique=False,
        sqlite_where=unlatched,
        postgresql_where=unlatched,
    )


def _on_postgresql(change: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in _TABLES:
            op.execute(f"ALTER TABLE {table} {change}")
