"""Throughput: worker processes work off a full queue, beside a bare Dramatiq actor, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from tests.bench.databases import Databases
from tests.bench.drain import THREADS, Contestant, drain
from tests.bench.section import Section

#: Our throughput beside the bare actor's, at least, with one process; with more, both wait for the database.
SMALLEST_RATIO = 0.7


@dataclass(frozen=True)
class Drained:
    """Jobs per second of every round, in the order of the rounds: ours and bare alternate."""

    ours: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Our median beside the bare actor's."""
        return median(self.ours) / median(self.bare)


def drain_in_turn(
    databases: Databases, database: str, redis_url: str, directory: Path, *, jobs: int, rounds: int, processes: int
) -> Drained:
    """Drain a queue of `jobs` several times with each contestant, the order changing from round to round."""
    figures: dict[Contestant, list[float]] = {"ours": [], "bare": []}
    for number in range(rounds):
        contestants: tuple[Contestant, ...] = ("ours", "bare")
        for contestant in contestants if number % 2 == 0 else contestants[::-1]:
            with databases.new(database) as url:
                figure = drain(
                    contestant,
                    url,
                    redis_url,
                    count=jobs,
                    seed=number,
                    log_directory=directory,
                    processes=processes,
                )
            click.echo(
                f"drain on {database}, {processes} processes, round {number + 1}, {contestant}: {figure:.0f} jobs/s",
                err=True,
            )
            figures[contestant].append(figure)
    return Drained(ours=tuple(figures["ours"]), bare=tuple(figures["bare"]))


def throughput_section(drained: Mapping[tuple[str, int], Drained], *, jobs: int) -> Section:
    """Return what the drains found, by database and number of processes."""
    return Section(
        "drain",
        f"Drain of {jobs} queued Phase 1 jobs, processes of {THREADS} threads",
        (
            "Database",
            "Processes",
            "Ours, median",
            "Bare actor, median",
            "Ours / bare",
            "Rounds, ours",
            "Rounds, bare",
        ),
        [
            (
                database,
                str(processes),
                f"{median(found.ours):.0f}/s",
                f"{median(found.bare):.0f}/s",
                f"{found.ratio:.2f}",
                _rounds(found.ours),
                _rounds(found.bare),
            )
            for (database, processes), found in drained.items()
        ],
        [
            {
                "database": database,
                "processes": processes,
                "ours": found.ours,
                "bare": found.bare,
                "ratio": found.ratio,
            }
            for (database, processes), found in drained.items()
        ],
        [
            f"drain on {database}: {found.ratio:.2f} of the bare actor, at least {SMALLEST_RATIO} expected"
            for (database, processes), found in drained.items()
            if processes == 1 and found.ratio < SMALLEST_RATIO
        ],
    )


def _rounds(figures: Sequence[float]) -> str:
    return ", ".join(f"{figure:.0f}" for figure in figures)
