"""Hooks of gunicorn, which `marketplace web` names in `--config`.

https://gunicorn.org/reference/settings/#server-hooks
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Protocol


class _Arbiter(Protocol):
    WORKERS: Mapping[int, object]


def when_ready(server: _Arbiter) -> None:
    """Let a second SIGTERM end the process at once, as it does in the other processes."""
    finish = signal.getsignal(signal.SIGTERM)
    assert callable(finish)  # noqa: S101 -- gunicorn has just set it

    def finish_once(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, end)
        finish(number, frame)

    def end(_number: int, _frame: FrameType | None) -> None:
        for process_id in list(server.WORKERS):
            os.kill(process_id, signal.SIGKILL)
        os._exit(1)

    signal.signal(signal.SIGTERM, finish_once)
