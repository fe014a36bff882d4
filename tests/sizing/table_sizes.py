"""Rows and bytes in PostgreSQL, table by table, and what it wrote to its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql

from app.storage.schema import metadata
from tests.bench.section import Section


@dataclass(frozen=True)
class TableSize:
    """Rows of a table, the bytes of its rows (with what is stored apart from them), and those of its indexes."""

    rows: float
    table_bytes: float
    index_bytes: float

    @property
    def bytes(self) -> float:
        """All of it."""
        return self.table_bytes + self.index_bytes

    def minus(self, before: TableSize) -> TableSize:
        """Return the growth since `before`."""
        return TableSize(
            self.rows - before.rows, self.table_bytes - before.table_bytes, self.index_bytes - before.index_bytes
        )

    def per(self, count: int) -> TableSize:
        """Return the share of one among `count`."""
        return TableSize(self.rows / count, self.table_bytes / count, self.index_bytes / count)


@dataclass(frozen=True)
class Written:
    """Transactions that ended, bytes of the write-ahead log, and writes of it, each of which waits for the disk."""

    transactions: float
    wal_bytes: float
    wal_writes: float

    def minus(self, before: Written) -> Written:
        """Return what came since `before`."""
        return Written(
            self.transactions - before.transactions,
            self.wal_bytes - before.wal_bytes,
            self.wal_writes - before.wal_writes,
        )

    def times(self, factor: float) -> Written:
        """Return it multiplied."""
        return Written(self.transactions * factor, self.wal_bytes * factor, self.wal_writes * factor)


def table_sizes(database_url: str) -> dict[str, TableSize]:
    """Return the size of every table of ours, after a vacuum: room that rows have left is there to be used again."""
    sizes = {}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in sorted(table.name for table in metadata.sorted_tables):
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(identifier))
            row = connection.execute(
                sql.SQL(
                    "SELECT (SELECT count(*) FROM {}), pg_table_size({}::regclass), pg_indexes_size({}::regclass)"
                ).format(identifier, sql.Literal(name), sql.Literal(name))
            ).fetchone()
            assert row is not None
            sizes[name.removeprefix("marketplace_")] = TableSize(*row)
    return sizes


def written(database_url: str) -> Written:
    """Return what this server has done so far, for all its databases."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT (SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database), wal_bytes, wal_write"
            " FROM pg_stat_wal"
        ).fetchone()
        assert row is not None
        return Written(*map(float, row))


def tables_section(measured: Mapping[str, Mapping[str, TableSize]], *, count: int) -> Section:
    """Return what one plan with its jobs leaves behind, by the way that the plan took."""
    rows: list[Sequence[str]] = []
    for way, tables in measured.items():
        rows += [
            (way, f"`{name}`", f"{size.rows:.1f}", *_bytes(size)) for name, size in tables.items() if size.rows > 0.05
        ]
        total = TableSize(
            sum(size.rows for size in tables.values()),
            sum(size.table_bytes for size in tables.values()),
            sum(size.index_bytes for size in tables.values()),
        )
        rows.append((way, "**all**", f"**{total.rows:.1f}**", *(f"**{text}**" for text in _bytes(total))))
    return Section(
        "tables",
        f"PostgreSQL: what one plan with its jobs leaves behind, mean of {count}",
        ("Way", "Table", "Rows", "Bytes of rows", "Bytes of indexes", "Bytes"),
        rows,
        {way: {name: asdict(size) for name, size in tables.items()} for way, tables in measured.items()},
    )


def _bytes(size: TableSize) -> tuple[str, str, str]:
    return f"{size.table_bytes:,.0f}", f"{size.index_bytes:,.0f}", f"{size.bytes:,.0f}"
