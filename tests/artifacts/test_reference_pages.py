from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import known_names
from deploy.artifacts.files import FILES, write_files
from deploy.artifacts.markdown import NOTICE, number
from deploy.artifacts.pages import PAGES

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_file_is_what_the_code_says(name: str) -> None:
    assert (_ROOT / name).read_text(encoding="utf-8") == FILES[name]()


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".md")])
def test_a_page_says_that_it_is_generated(name: str) -> None:
    assert PAGES[name]().splitlines()[2] == NOTICE


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in PAGES["settings.md"]().splitlines() if line.startswith("| `MARKETPLACE_")]
    described = {row.split("|")[1].strip(" `"): row.split("|")[-2].strip() for row in rows}
    assert all(described[name] for name in known_names())


def test_every_file_is_written_where_it_is_committed(tmp_path: Path) -> None:
    written = write_files(tmp_path)
    assert {str(path) for path in written} == set(FILES)
    assert all((tmp_path / path).stat().st_size for path in written)


@pytest.mark.parametrize(("value", "text"), [(3600.0, "3600"), (0.05, "0.05"), (50_000_000, "50000000")])
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert number(value) == text
