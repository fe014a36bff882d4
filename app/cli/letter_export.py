"""Exports of dead letters: NDJSON as it comes, or CSV for a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

FORMATS = ("ndjson", "csv")

#: Columns of the CSV: what fits into one cell.
_COLUMNS = (
    "id",
    "jobId",
    "planId",
    "kind",
    "queue",
    "status",
    "reason",
    "errorClass",
    "errorMessage",
    "attemptCount",
    "archivedAt",
    "retriedAs",
    "resolvedAt",
    "resolvedBy",
    "resolutionReason",
)


def write_letters(letters: Iterable[Mapping[str, Any]], form: str, file: TextIO) -> int:
    """Write letters in one of `FORMATS`; return how many."""
    return {"ndjson": _write_ndjson, "csv": _write_csv}[form](letters, file)


def _write_ndjson(letters: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    written = 0
    for letter in letters:
        file.write(f"{json.dumps(letter)}\n")
        written += 1
    return written


def _write_csv(letters: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    rows = csv.writer(file)
    rows.writerow(_COLUMNS)
    written = 0
    for letter in letters:
        rows.writerow([_cell(letter[name]) for name in _COLUMNS])
        written += 1
    return written


def _cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula: error texts come from strangers."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
