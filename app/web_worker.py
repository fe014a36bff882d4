"""gunicorn's worker of threads, which sees to it that jobs in place have ended before its process does."""

from __future__ import annotations

import logging
import os
import threading
from types import FrameType
from typing import Any

import structlog
from gunicorn.workers.gthread import ThreadWorker

from app.api.wiring import runtime_of

_log = structlog.stdlib.get_logger(__name__)

#: Seconds of the graceful timeout that are kept for giving jobs back, and for answering whoever waited for them:
#: gunicorn's master kills at its end.
_KEPT_SECONDS = 2.0


class WebWorker(ThreadWorker):
    """When told to stop, begins nothing in place any more, lets what runs end, and gives the rest back in time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told = threading.Event()

    def run(self) -> None:
        """Serve until told to stop."""
        ending = threading.Thread(target=self._end_runs, name="ending", daemon=True)
        ending.start()
        super().run()
        self._told.set()
        ending.join()
        runtime = runtime_of(self.wsgi)
        if runtime.in_place.running:
            # The threads of what was given back may wait for an agent until their deadline; it counts no more.
            runtime.close()
            logging.shutdown()
            os._exit(0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving; the handler of a signal may do no more than tell others."""
        super().handle_exit(sig, frame)
        self._told.set()

    def _end_runs(self) -> None:
        self._told.wait()
        runtime = runtime_of(self.wsgi)
        whole = runtime.settings.web.graceful_timeout_seconds
        released = runtime.in_place.stop(grace_seconds=max(whole - _KEPT_SECONDS, whole / 2))
        _log.info("in_place_stopped", jobs_released=released)
