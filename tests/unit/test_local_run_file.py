import json
import os
import stat
from pathlib import Path

import pytest

from app.domain.errors import ConflictError
from deploy.local.run_file import DataDirectory


def test_a_directory_is_held_by_one_supervisor_at_a_time(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    with first.held(), pytest.raises(ConflictError, match="another stack runs in"), second.held():
        pass
    with second.held():
        assert second.holder() == os.getpid()


def test_the_holder_is_known_by_its_process_id_while_it_holds(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    assert data.holder() is None
    with data.held():
        assert data.holder() == os.getpid()
    assert data.holder() is None


def test_the_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "a" / "b").held():
        assert (tmp_path / "a" / "b").is_dir()


def test_run_json_is_removed_at_the_end(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    with data.held():
        data.announce({"state": "running"})
        assert data.announced() == {"state": "running"}
    assert not (tmp_path / "run.json").exists()


def test_a_run_json_that_a_killed_supervisor_left_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"state": "running"}))
    (tmp_path / "run.lock").write_text("1")
    data = DataDirectory(tmp_path)
    assert data.announced() is None
    with data.held():
        assert not (tmp_path / "run.json").exists()


def test_a_new_run_json_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    with data.held():
        data.announce({"state": "running", "urls": {"web": "http://127.0.0.1:8000"}})
        with (tmp_path / "run.json").open() as reader:
            data.announce({"state": "stopping"})
            assert json.load(reader)["state"] == "running"
        assert data.announced() == {"state": "stopping"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.lock"]


def test_run_json_can_be_read_by_its_owner_and_written_by_nobody_else(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    with data.held():
        data.announce({})
        assert not stat.S_IMODE((tmp_path / "run.json").stat().st_mode) & 0o022
