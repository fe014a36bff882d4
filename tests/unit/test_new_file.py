from __future__ import annotations

import stat
from pathlib import Path

import click
import pytest

from app.cli.new_file import new_file


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    with new_file(path, replace=False) as target:
        target.write("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x")], ids=["ctrl_c", "error"])
def test_nothing_is_left_of_a_file_that_is_not_complete(error: BaseException, tmp_path: Path) -> None:
    def break_off() -> None:
        with new_file(tmp_path / "archive", replace=False) as target:
            target.write("half of")
            raise error

    with pytest.raises(type(error)):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_text("before")
    with pytest.raises(click.UsageError, match="--force"), new_file(path, replace=False):
        raise AssertionError
    assert path.read_text() == "before"


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "archive"

    def write_while_somebody_else_does() -> None:
        with new_file(path, replace=False) as target:
            target.write("mine")
            path.write_text("theirs")

    with pytest.raises(click.UsageError, match="--force"):
        write_while_somebody_else_does()
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_on_demand_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_text("before")
    with new_file(path, replace=True) as target:
        target.write("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"


def test_a_folder_that_is_not_there_is_told_as_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(click.FileError), new_file(tmp_path / "missing" / "archive", replace=False):
        raise AssertionError
