"""Presence files with real processes: who is dead is told by the operating system, not by a clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from app.domain.processes import ProcessRole
from app.presence import Presence, dead_owners, last_beats, presence_directory
from tests.servers import ended

#: Enters the directory, tells its owner's name, and stays.
PROCESS = """
import sys
from pathlib import Path
from app.domain.processes import ProcessRole
from app.presence import Presence

presence = Presence(ProcessRole.WORKER, Path(sys.argv[1]))
presence.enter()
print(presence.owner, flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(directory: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process, ended(process):
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip(), process


def dead(directory: Path) -> list[str]:
    with dead_owners(directory) as owners:
        return list(owners)


def give_away(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the directory somebody else's."""
    if os.geteuid() == 0:
        os.chown(directory, 65534, -1)
    else:
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)


def test_a_process_that_was_killed_is_dead_at_once_and_is_found_once(tmp_path: Path) -> None:
    with another_process(tmp_path) as (owner, process):
        assert dead(tmp_path) == []
        process.kill()
        process.wait()
        assert dead(tmp_path) == [owner]
        assert dead(tmp_path) == []


def test_a_frozen_process_is_not_dead(tmp_path: Path) -> None:
    with another_process(tmp_path) as (_, process):
        process.send_signal(signal.SIGSTOP)
        assert dead(tmp_path) == []
        process.send_signal(signal.SIGCONT)


def test_a_process_does_not_take_itself_for_dead(tmp_path: Path) -> None:
    presence = Presence(ProcessRole.WORKER, tmp_path)
    presence.enter()
    assert dead(tmp_path) == []
    presence.leave()


def test_a_process_that_left_is_not_found_dead(tmp_path: Path) -> None:
    presence = Presence(ProcessRole.WORKER, tmp_path)
    presence.enter()
    presence.leave()
    assert dead(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_look_at_once_one_finds_the_dead(tmp_path: Path) -> None:
    (tmp_path / "worker@host:1:ab.lock").touch()
    with dead_owners(tmp_path) as first, dead_owners(tmp_path) as second:
        assert (first, second) == (["worker@host:1:ab"], [])


def test_a_dead_owner_is_found_again_when_its_return_failed(tmp_path: Path) -> None:
    (tmp_path / "worker@host:1:ab.lock").touch()
    with pytest.raises(ValueError, match="the database is away"), dead_owners(tmp_path):
        raise ValueError("the database is away")
    assert dead(tmp_path) == ["worker@host:1:ab"]


def test_a_file_without_a_lock_is_never_seen_under_a_process_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look just before the file gets its name finds nothing."""
    rename, looks = Path.rename, []

    def look_first(path: Path, target: Path) -> Path:
        looks.append(dead(tmp_path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", look_first)
    presence = Presence(ProcessRole.WORKER, tmp_path)
    presence.enter()
    assert looks == [[]]
    assert [path.name for path in tmp_path.iterdir()] == [f"{presence.owner}.lock"]
    presence.leave()


def test_a_directory_that_cannot_be_made_is_told_and_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    presence = Presence(ProcessRole.WEB, tmp_path / "file" / "processes")
    with structlog.testing.capture_logs() as logs:
        presence.enter()
    presence.beat()
    presence.leave()
    assert [(log["event"], log["reason"]) for log in logs] == [("presence_not_shown", "Not a directory")]
    assert dead(tmp_path / "file" / "processes") == []


def test_a_directory_of_somebody_else_is_neither_used_nor_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker@host:1:ab.lock").touch()
    give_away(tmp_path, monkeypatch)
    with structlog.testing.capture_logs() as logs:
        Presence(ProcessRole.WORKER, tmp_path).enter()
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("presence_not_shown", "the directory belongs to somebody else")
    ]
    assert dead(tmp_path) == []
    assert last_beats(tmp_path) == {}


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "worker@host:1:ab.lock").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert dead(tmp_path / "link") == []


def test_a_beat_moves_the_time_of_the_process(tmp_path: Path) -> None:
    presence = Presence(ProcessRole.WORKER, tmp_path)
    presence.enter()
    [path] = tmp_path.iterdir()
    os.utime(path, ns=(0, 0))
    assert last_beats(tmp_path) == {os.getpid(): 0}
    presence.beat()
    assert last_beats(tmp_path)[os.getpid()] > 0
    presence.leave()
    presence.beat()


def test_of_two_files_of_one_process_id_the_newer_one_counts(tmp_path: Path) -> None:
    for name, beat in (("worker@host:7:aa.lock", 9), ("worker@host:7:bb.lock", 3), ("of nobody.lock", 1)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(beat, beat))
    assert last_beats(tmp_path) == {7: 9}


def test_processes_share_a_directory_when_they_share_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = presence_directory(None, "sqlite:///var/a.db")
    assert relative == presence_directory(None, f"sqlite:///{tmp_path}/var/a.db")
    assert relative != presence_directory(None, "sqlite:///var/b.db")
    on_server = presence_directory(None, "postgresql://u:one@host/name")
    assert on_server == presence_directory(None, "postgresql://u:two@host/name")
    assert on_server != presence_directory(None, "postgresql://u:one@host/other")


def test_a_directory_that_is_given_is_taken(tmp_path: Path) -> None:
    assert presence_directory(tmp_path, "sqlite:///a.db") == tmp_path
