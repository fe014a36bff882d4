"""The client for outbound calls.

It stands on `http.client`: the clients above it know timeouts per read, not deadlines, resolve names a second time
after a check, and follow redirects and proxy variables. One connection per call: a call to a language model takes
seconds, and a connection that was kept may be dead without anybody knowing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import cast

from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from app.domain.deadline import Deadline
from app.domain.errors import (
    BadAnswerError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
)
from app.outbound.deadline_socket import DeadlineSocket
from app.outbound.replies import Reply
from app.outbound.resolver import Endpoint, Lookup, Resolver
from app.outbound.targets import Target, read_target
from app.settings import OutboundSettings

#: How long `check_target` may take, in seconds.
_CHECK_SECONDS = 5.0

#: What an answer may have beside its body.
_HEADER_BYTES = 64 * 1024

#: How much of an answer that is no success is read: enough to tell why.
_EXPLANATION_BYTES = 4 * 1024

_CHUNK_BYTES = 64 * 1024

_OK = range(200, 300)


class Outbound:
    """Calls other people's servers; safe to use from many threads.

    `allow_private` opens private and loopback addresses. `lookup` stands for `socket.getaddrinfo`.
    """

    def __init__(self, settings: OutboundSettings, *, allow_private: bool, lookup: Lookup = socket.getaddrinfo) -> None:
        self._settings = settings
        self._resolver = Resolver(allow_private=allow_private, lookup=lookup)

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        head_only: bool = False,
        deadline_header: str | None = None,
    ) -> Reply:
        """Send a request and return the complete answer, whatever its status; of an error's body, the beginning.

        The deadline covers name resolution, connection, TLS, the request and every byte of the answer. Redirects are
        not followed, proxies not used. With `head_only` the body of a success is not read: what is in it cannot undo
        the success. The header of the name `deadline_header` tells the seconds that are left when the request is sent.

        Raises:
            InvalidInputError: The URL is not one that may be called.
            NetworkError: The other side could not be reached, or the connection broke.
            DeadlineExceededError: The answer was not complete in time.
            BadAnswerError: The answer is too big, compressed, or not HTTP.
            ConfigurationError: The file with certificate authorities cannot be used.
        """
        target = read_target(url)
        with _translated(target.host), self._connected(target, deadline) as connected:
            budget = self._settings.max_answer_bytes + _HEADER_BYTES
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.sock = cast("socket.socket", DeadlineSocket(connected, deadline, budget_bytes=budget))
            # `identity` is what http.client asks for: nothing of ours is decompressed, so nothing can swell.
            # Only now: finding and reaching the host may have taken most of the time.
            left = {deadline_header: f"{deadline.remaining_seconds:.3f}"} if deadline_header else {}
            connection.request("POST", target.path, body, _all_headers(target, {**headers, **left}))
            return self._read(connection.getresponse(), head_only=head_only)

    def check_target(self, url: str) -> None:
        """Tell whether this URL may be called: http or https, without credentials, with public addresses only.

        Raises:
            InvalidInputError: It may not; the field is `url`.
        """
        try:
            self._resolver.endpoints(read_target(url), Deadline.after(_CHECK_SECONDS))
        except (NetworkError, DeadlineExceededError) as error:
            raise InvalidInputError("url", "must name a host that can be found") from error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        # Small images come without authorities of their own.
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        if self._settings.tls_ca_file is not None:
            try:
                context.load_verify_locations(self._settings.tls_ca_file)
            except OSError as error:
                raise ConfigurationError("MARKETPLACE_OUTBOUND__TLS_CA_FILE: holds no certificates") from error
        return context

    @contextmanager
    def _connected(self, target: Target, deadline: Deadline) -> Iterator[socket.socket]:
        """Yield a socket that is connected to an address that was checked, with TLS for the target's name."""
        with _first_connected(self._resolver.endpoints(target, deadline), deadline) as plain:
            if target.scheme == "http":
                yield plain
                return
            plain.settimeout(_left(deadline))
            with self._tls.wrap_socket(plain, server_hostname=target.host) as encrypted:
                yield encrypted

    def _read(self, response: http.client.HTTPResponse, *, head_only: bool) -> Reply:
        headers = CaseInsensitiveDict(response.headers.items())
        compressed = headers.get("Content-Encoding", "identity").strip().lower() != "identity"
        if response.status not in _OK:
            return Reply(response.status, headers, b"" if compressed else response.read(_EXPLANATION_BYTES))
        if head_only:
            return Reply(response.status, headers, b"")
        if compressed:
            raise BadAnswerError("the answer is compressed, which we did not ask for")
        body = bytearray()
        while piece := response.read(_CHUNK_BYTES):
            body += piece
            if len(body) > self._settings.max_answer_bytes:
                raise BadAnswerError(f"the answer is bigger than {self._settings.max_answer_bytes} bytes")
        if response.length:
            raise NetworkError("the connection broke before the answer was complete")
        return Reply(response.status, headers, bytes(body))


def _all_headers(target: Target, headers: Mapping[str, str]) -> dict[str, str]:
    return {"Host": target.authority, "User-Agent": "marketplace-resilience", **headers, "Connection": "close"}


def _first_connected(endpoints: Sequence[Endpoint], deadline: Deadline) -> socket.socket:
    """Return a socket that is connected to the first endpoint that answers; each one gets its share of the time."""
    failure: OSError | None = None
    for position, (family, address) in enumerate(endpoints):
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.settimeout(_left(deadline) / (len(endpoints) - position))
            connecting.connect(address)
            # The body follows the headers in a packet of its own, which must not wait for an acknowledgement.
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connecting.close()
            failure = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    raise failure or OSError("no endpoint")


def _left(deadline: Deadline) -> float:
    """Return the seconds left, more than none: a socket takes 0 as "do not wait"."""
    deadline.check()
    return max(deadline.remaining_seconds, 0.001)


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """Turn errors of sockets and of http.client into ours, naming the host and nothing else of the URL."""
    try:
        yield
    except InvalidInputError:
        raise
    except MarketplaceError as error:
        raise type(error)(f"{host}: {error}") from error
    except TimeoutError as error:
        raise DeadlineExceededError(f"{host}: no complete answer in time") from error
    except ssl.SSLError as error:
        raise NetworkError(f"{host}: TLS failed ({error.reason or type(error).__name__})") from error
    except (OSError, http.client.IncompleteRead) as error:
        raise NetworkError(f"{host}: {_reason(error)}") from error
    except http.client.HTTPException as error:
        raise BadAnswerError(f"{host}: the answer is not HTTP ({type(error).__name__})") from error


def _reason(error: OSError | http.client.IncompleteRead) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, ConnectionError | http.client.IncompleteRead):
        return "the connection broke before the answer was complete"
    return f"cannot be reached ({type(error).__name__})"
