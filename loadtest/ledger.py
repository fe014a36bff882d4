"""What the users of a load run did, kept apart from the product: the other side of the bookkeeping."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Accepted:
    """An approval that the product answered: from here on it owes us a completed job and these tasks.

    `job_ids` holds the job of every answer, for an approval may be repeated.
    """

    plan_id: str
    job_ids: frozenset[str]
    tasks: int
    approve_seconds: float


@dataclass
class Ledger:
    """Hands out approvals up to `wanted`, and keeps what was accepted; safe to use from many (green) threads."""

    wanted: int
    _taken: int = 0
    _accepted: list[Accepted] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Take one approval to make; False when all of them are taken."""
        with self._guard:
            if self._taken >= self.wanted:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """Give back an approval that could not be made: somebody else makes it."""
        with self._guard:
            self._taken -= 1

    def accept(self, approval: Accepted) -> None:
        """Keep an approval that was answered."""
        with self._guard:
            self._accepted.append(approval)

    @property
    def accepted(self) -> tuple[Accepted, ...]:
        """Every accepted approval."""
        with self._guard:
            return tuple(self._accepted)

    @property
    def is_complete(self) -> bool:
        """Whether as many approvals were accepted as wanted."""
        with self._guard:
            return len(self._accepted) >= self.wanted
