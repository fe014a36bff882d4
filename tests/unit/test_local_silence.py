from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.local.silence import Silence


class Room:
    """A directory of presence files, and a clock that the test moves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1000.0
        self.silence = Silence(directory, lambda: self.now)
        self._beats = 0

    def beat(self, process_id: int) -> None:
        self._beats += 1
        path = self.directory / f"worker@host:{process_id}:ab.lock"
        path.touch()
        os.utime(path, ns=(self._beats, self._beats))

    def after(self, seconds: int, *beating: int) -> list[int]:
        """Return who is frozen after so many looks, one a second, while these beat."""
        frozen: list[int] = []
        for _ in range(seconds):
            self.now += 1.0
            for process_id in beating:
                self.beat(process_id)
            frozen = list(self.silence.frozen())
        return frozen


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    for process_id in (1, 2):
        room.beat(process_id)
    return room


def test_a_process_that_gives_no_sign_for_10_seconds_is_frozen(room: Room) -> None:
    assert room.after(11, 2) == []
    assert room.after(1, 2) == [1]


def test_a_sign_begins_the_count_anew(room: Room) -> None:
    room.after(9, 2)
    assert room.after(1, 1, 2) == []
    assert room.after(10, 2) == []
    assert room.after(1, 2) == [1]


def test_the_time_of_day_does_not_matter(room: Room) -> None:
    """A file's time that lies far behind, or jumps back, is a sign like any other."""
    room.after(9, 1, 2)
    os.utime(room.directory / "worker@host:1:ab.lock", ns=(0, 0))
    assert room.after(10, 2) == []


def test_after_a_pause_of_the_whole_machine_everybody_gets_10_seconds_anew(room: Room) -> None:
    room.after(9, 2)
    room.now += 3600.0
    assert list(room.silence.frozen()) == []
    assert room.after(10, 2) == []
    assert room.after(1, 2) == [1]


def test_a_process_whose_file_is_gone_is_not_frozen(room: Room) -> None:
    room.after(9, 2)
    (room.directory / "worker@host:1:ab.lock").unlink()
    assert room.after(5, 2) == []
