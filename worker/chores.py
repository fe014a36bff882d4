"""Chores: what a process does again and again, each at its own pace, on one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from app.domain.errors import RecoverableError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS
from app.pulse import Pulse

#: Where an unexpected error is counted.
Place = Literal["sweeper", "watch", "delivery", "notices"]

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Chore:
    """`run` is called every `every_seconds`, counted from the end of the call before."""

    name: str
    every_seconds: float
    run: Callable[[], object]


def do_chores(
    chores: Sequence[Chore],
    stop: threading.Event,
    metrics: LiveMetrics,
    *,
    place: Place,
    pulse: Pulse,
) -> None:
    """Do the chores until `stop` is set; one that fails is logged and done again at its next time."""
    due_at = dict.fromkeys(chores, 0.0)
    while not stop.is_set():
        for chore in chores:
            pulse()
            if time.monotonic() < due_at[chore]:
                continue
            _do(chore, metrics, place)
            due_at[chore] = time.monotonic() + chore.every_seconds
            if stop.is_set():
                return
        stop.wait(max(0.0, min(due_at.values()) - time.monotonic()))


def _do(chore: Chore, metrics: LiveMetrics, place: Place) -> None:
    try:
        chore.run()
    except RecoverableError as error:
        _log.warning("chore_failed", chore=chore.name, error_code=error.code, reason=str(error))
    except Exception:  # noqa: BLE001 -- the edge of a chore: the others must go on
        metrics.count(ERRORS, place=place)
        _log.exception("chore_raised", chore=chore.name)
