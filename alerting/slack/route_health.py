"""How a route is doing: since when it fails, and when it is tried again. It outlives a restart."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from alerting.slack.pacing import LONGEST_WAIT_SECONDS


@dataclass(frozen=True)
class RouteHealth:
    """One row of the table `routes`; times are seconds since 1970."""

    key: str
    next_attempt_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    uncertain_upto: int = 0
    second_told: bool = False

    def wait_seconds(self, now: float) -> float:
        """Return for how long nothing may be sent."""
        pause = self.next_attempt_at - now
        # No pause is longer, unless the clock was set back since.
        return pause if 0 < pause <= LONGEST_WAIT_SECONDS else 0.0

    def failed(self, now: float, *, pause_seconds: float) -> RouteHealth:
        """Return it after one more failure."""
        since = now if self.failing_since is None else self.failing_since
        next_attempt_at = now + pause_seconds
        return replace(self, failures=self.failures + 1, failing_since=since, next_attempt_at=next_attempt_at)

    def well(self) -> RouteHealth:
        """Return it after a message was taken."""
        return replace(self, failures=0, failing_since=None, next_attempt_at=0.0)


def load_health(connection: sqlite3.Connection, key: str) -> RouteHealth:
    """Return how the route of this key was doing when the relay ended."""
    row = connection.execute("SELECT * FROM routes WHERE key = ?", (key,)).fetchone()
    if row is None:
        return RouteHealth(key)
    return RouteHealth(**{**dict(row), "second_told": bool(row["second_told"])})


def save_health(connection: sqlite3.Connection, health: RouteHealth) -> None:
    """Keep how the route is doing; whether the second URL was told is kept by `mark_second_told`."""
    connection.execute(
        "INSERT INTO routes (key, next_attempt_at, failures, failing_since, uncertain_upto) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET next_attempt_at = excluded.next_attempt_at, failures = excluded.failures,"
        " failing_since = excluded.failing_since, uncertain_upto = excluded.uncertain_upto",
        (health.key, health.next_attempt_at, health.failures, health.failing_since, health.uncertain_upto),
    )


def mark_second_told(connection: sqlite3.Connection, key: str, *, told: bool) -> None:
    """Note whether the second URL knows that this route fails."""
    connection.execute("UPDATE routes SET second_told = ? WHERE key = ?", (told, key))
