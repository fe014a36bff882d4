"""What a process tells on its metrics port.

`/metrics` is for Prometheus, `/live` for whoever would restart the process, `/ready` for whoever waits until it works.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = structlog.stdlib.get_logger(__name__)

#: Requests that are answered at the same time; more wait to be accepted.
_MOST_REQUESTS = 8

#: Seconds that a caller may let us wait for its next byte.
_PATIENCE_SECONDS = 5.0

_AWAY = (HTTPStatus.SERVICE_UNAVAILABLE, "not_ready")


def serve_probes(
    host: str,
    port: int,
    registry: CollectorRegistry,
    problems: Callable[[], Sequence[str]],
    *,
    has_started: Callable[[], bool] = lambda: True,
) -> ProbeServer:
    """Answer at this address, on daemon threads, until the server is closed or the process ends.

    A process that still waits for its database has not started: it is alive, not ready, and nobody asks for `problems`.

    Raises:
        OSError: The address cannot be listened on.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    server = ProbeServer(family, (str(address[0]), int(address[1])))
    server.set_app(_application(registry, problems, has_started))
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server


class ProbeServer(ThreadingMixIn, WSGIServer):
    """One daemon thread per request, and a bounded number of them."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        self._places = threading.BoundedSemaphore(_MOST_REQUESTS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Start a thread for the request as soon as there is a place for it."""
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the library's signature
        """Answer the request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 -- the library's signature
        """Tell of a caller that went away."""
        _log.debug("probe_not_answered", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's signature
        """Log nothing: there is a request every few seconds."""


def _application(
    registry: CollectorRegistry, problems: Callable[[], Sequence[str]], has_started: Callable[[], bool]
) -> WSGIApplication:
    # Compressing would take a fifth of a scrape, and whoever scrapes is near.
    metrics = make_wsgi_app(registry, disable_compression=True)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        if environ["PATH_INFO"] not in {"/live", "/ready"}:
            return _json(start_response, HTTPStatus.NOT_FOUND, {"status": "not_found"})
        is_ready = has_started()
        wrong = list(problems()) if is_ready else []
        if environ["PATH_INFO"] == "/ready":
            status, word = (HTTPStatus.OK, "ready") if is_ready and not wrong else _AWAY
        else:
            status, word = (HTTPStatus.SERVICE_UNAVAILABLE, "unwell") if wrong else (HTTPStatus.OK, "alive")
        return _json(start_response, status, {"status": word, "problems": wrong})

    return answer


def _json(start_response: StartResponse, status: HTTPStatus, body: object) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
