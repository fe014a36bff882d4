"""Who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token allows; each role includes the ones before it."""

    VIEWER = "viewer"
    """Reads."""
    APPROVER = "approver"
    """Also asks for analyses, imports plans, and decides them."""
    ADMIN = "admin"
    """Everything."""

    def includes(self, other: Role) -> bool:
        """Tell whether this role allows what `other` allows."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True)
class Actor:
    """Whoever acts: the name of a token, or of a process of ours. It stands in the audit log."""

    name: str
    role: Role
