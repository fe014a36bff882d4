"""The audit log: who did what, to what, and why; written in the transaction of the act itself."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import Connection, insert

from app.storage.clock import now_plus
from app.storage.schema import audit_log


def record_audit(
    connection: Connection,
    *,
    actor: str,
    action: str,
    target_type: str,
    target_id: object,
    reason: str | None = None,
    details: Mapping[str, object] | None = None,
    request_id: str | None = None,
) -> None:
    """Write one row; `action` is a verb of ours, such as `plan.approve`."""
    connection.execute(
        _INSERT,
        {
            "id": uuid4(),
            "actor": actor,
            "action": action,
            "target_type": target_type,
            "target_id": str(target_id),
            "reason": reason,
            "details": None if details is None else dict(details),
            "request_id": request_id,
        },
    )


_INSERT = insert(audit_log).values(at=now_plus())
