from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from app.cli.letter_export import _COLUMNS, write_letters


def letter(**values: object) -> dict[str, Any]:
    return {**dict.fromkeys(_COLUMNS), "attempts": [], "payload": {}, **values}


def written(letters: list[dict[str, Any]], form: str) -> str:
    file = io.StringIO(newline="")
    assert write_letters(letters, form, file) == len(letters)
    return file.getvalue()


def test_ndjson_has_each_letter_whole_on_a_line() -> None:
    letters = [letter(id="1", errorMessage="one\ntwo"), letter(id="2", attempts=[{"attempt": 1}])]
    assert [json.loads(line) for line in written(letters, "ndjson").splitlines()] == letters


def test_csv_has_a_title_and_a_row_for_each_letter() -> None:
    text = written([letter(id="1", errorMessage='said "no",\nthen left')], "csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["id"], row["errorMessage"], row["jobId"]) == ("1", 'said "no",\nthen left', "")
    assert tuple(row) == _COLUMNS


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(written([letter(errorMessage=text)], "csv"), newline=""))
    assert row["errorMessage"] == f"'{text}"
