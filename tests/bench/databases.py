"""The databases that benchmarks run on: a new, empty one for every round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from tests.servers import postgres_binaries, postgres_database, running_postgres


class Databases:
    """SQLite files, and a PostgreSQL server where one is installed."""

    def __init__(self, directory: Path, servers: ExitStack, chosen: Sequence[str]) -> None:
        self._directory = directory
        self._made = 0
        self._postgres: str | None = None
        self.names = list(chosen)
        if "PostgreSQL" in self.names:
            binaries = postgres_binaries()
            if binaries is None:
                click.echo("PostgreSQL is left out: it is not installed (`make tools`)", err=True)
                self.names.remove("PostgreSQL")
            else:
                self._postgres = servers.enter_context(running_postgres(binaries))

    @contextmanager
    def new(self, name: str) -> Iterator[str]:
        """Yield the URL of an empty database."""
        if name == "PostgreSQL" and self._postgres:
            with postgres_database(self._postgres) as url:
                yield url
        else:
            self._made += 1
            yield f"sqlite:///{self._directory / f'{self._made}.db'}"
