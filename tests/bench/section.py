"""A section of the benchmarks' report: a table, its figures, and which thresholds it missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """What one benchmark found.

    `figures` is JSON for machines; `missed` names every threshold that was missed, in words.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: object
    missed: Sequence[str] = field(default=())

    def markdown(self) -> list[str]:
        """Return the section's lines."""
        return [
            f"## {self.title}",
            "",
            f"| {' | '.join(self.columns)} |",
            f"|{' --- |' * len(self.columns)}",
            *(f"| {' | '.join(row)} |" for row in self.rows),
            "",
        ]


def milliseconds(seconds: float) -> str:
    """Return a time for people.

    >>> milliseconds(0.0123), milliseconds(0.00123)
    ('12 ms', '1.2 ms')
    """
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
