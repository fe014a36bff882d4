"""Signals that ask a process to stop."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


def stop_event() -> threading.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal ends the process at once.

    The handlers are explicit because Python leaves SIGINT ignored in a process that a shell started with `&`.
    """
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop
