"""The relay's HTTP server: waitress, one process with threads.

A body that is too large is refused when its length is told, before it is read; waitress would not count that.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask

from alerting.intake.refusals import Reason, refuse
from app.domain.errors import NetworkError
from app.live_metrics import LiveMetrics
from app.settings.relay import RelaySettings

if TYPE_CHECKING:
    from waitress.utilities import Error

#: Requests that are answered at the same time. Each one waits for a commit that it shares with the others.
_THREADS = 32

#: Connections that are open at the same time; more wait to be accepted.
_MOST_CONNECTIONS = 500

#: Seconds that a connection may be silent.
_SILENCE_SECONDS = 60

#: Seconds until a stop is noticed, at most, and that requests in flight may take then.
_LOOK_SECONDS = 0.2
_END_SECONDS = 2

_TOO_LARGE = 413


class IntakeServer:
    """Listens from the start; `serve` answers."""

    def __init__(self, app: Flask, settings: RelaySettings, metrics: LiveMetrics) -> None:
        """Listen.

        Raises:
            NetworkError: The address cannot be listened on.
        """

        class Channel(HTTPChannel):
            error_task_class = _refusing_task(metrics)

        class Server(TcpWSGIServer):
            channel_class = Channel

        # It warns of every request that has to wait for a moment.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        try:
            self._server = Server(
                app,
                host=settings.host,
                port=settings.port,
                threads=_THREADS,
                connection_limit=_MOST_CONNECTIONS,
                channel_timeout=_SILENCE_SECONDS,
                # waitress refuses what has this many bytes.
                max_request_body_size=settings.max_body_bytes + 1,
                asyncore_use_poll=True,
                ident=None,
                # Debian's kernels accept more; the rest waits in the network.
                backlog=_MOST_CONNECTIONS,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise NetworkError(f"cannot listen on {settings.host} port {settings.port}: {reason}") from error

    def serve(self, stop: threading.Event) -> None:
        """Answer until `stop` is set; then let requests in flight end. The sender of one that does not comes again."""
        sockets = self._server._map  # noqa: SLF001 -- waitress's own loop has no way to stop but an exception
        while not stop.is_set():
            wasyncore.loop(timeout=_LOOK_SECONDS, map=sockets, use_poll=True, count=1)
        self._server.accepting = False
        self._server.task_dispatcher.shutdown(timeout=_END_SECONDS)
        wasyncore.close_all(sockets)


def _refusing_task(metrics: LiveMetrics) -> type[ErrorTask]:
    class RefusingTask(ErrorTask):
        """What waitress refuses by itself, told and counted as the rest is."""

        def execute(self) -> None:
            error: Error = self.request.error
            reason = Reason.TOO_LARGE if error.code == _TOO_LARGE else Reason.MALFORMED
            body, _, headers = refuse(metrics, reason, error.body, path=self.request.path or "")
            self.status = f"{error.code} {error.reason}"
            self.response_headers.extend(headers.items())
            self.set_close_on_finish()
            self.content_length = len(body.encode())
            self.write(body.encode())

    return RefusingTask
