from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from worker.broker import Room


def test_all_places_are_free_at_first() -> None:
    assert Room(3).wait(0) == 3


def test_a_full_room_has_no_place() -> None:
    room = Room(1)
    room.take()
    assert room.wait(0.01) == 0


def test_a_place_that_becomes_free_ends_the_wait_at_once() -> None:
    room = Room(1)
    room.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(room.wait, 60)
        room.leave()
        assert waiting.result(20) == 1


def test_a_closed_room_has_no_place_and_keeps_nobody_waiting() -> None:
    room = Room(1)
    room.take()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(room.wait, 60)
        room.close()
        assert waiting.result(20) == 0
    room.leave()
    assert room.wait(60) == 0


def test_places_are_counted_across_threads() -> None:
    room, rounds = Room(8), 500
    ready = threading.Barrier(8)

    def come_and_go(_number: int) -> None:
        ready.wait(20)
        for _ in range(rounds):
            room.take()
            room.leave()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    assert room.wait(0) == 8
