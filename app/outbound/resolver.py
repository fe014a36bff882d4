"""Resolution of names within a deadline."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any, TypeAlias

from app.domain.deadline import Deadline
from app.domain.errors import DeadlineExceededError, InvalidInputError, NetworkError
from app.outbound.targets import Target, may_be_called

#: One way to a host: address family and socket address.
Endpoint: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]

#: `socket.getaddrinfo`, or what stands for it.
Lookup: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]

#: Lookups that run at once; one that the system does not answer holds its place until the system gives up, which may be
#: long after its call has ended.
_MOST_LOOKUPS = 32

#: Of those, the ones of one host: a name server that is silent for one agent must not stop the calls to the others.
_MOST_OF_HOST = 8

#: Addresses of one name that are tried.
_MOST_ENDPOINTS = 4


class Resolver:
    """Finds the addresses of hosts, and refuses those that may not be called.

    The system's lookup cannot be interrupted, so each one runs in a thread of its own.
    """

    def __init__(self, *, allow_private: bool, lookup: Lookup) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        self._running: Counter[str] = Counter()
        self._changed = threading.Condition()

    def endpoints(self, target: Target, deadline: Deadline) -> tuple[Endpoint, ...]:
        """Return where the target can be reached, at least one way, best first.

        Raises:
            InvalidInputError: One of its addresses may not be called; the field is `url`.
            NetworkError: The name has no address.
            DeadlineExceededError: There was no answer in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_place(target.host), deadline.remaining_seconds):
                raise DeadlineExceededError("the name was not resolved in time")
            self._running[target.host] += 1
        answer: Future[Sequence[tuple[Any, ...]]] = Future()
        threading.Thread(target=self._work, args=(target, answer), name="resolver", daemon=True).start()
        try:
            found = answer.result(timeout=deadline.remaining_seconds)
        except TimeoutError:
            raise DeadlineExceededError("the name was not resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise NetworkError("the name cannot be resolved") from error
        endpoints: list[Endpoint] = [(family, address) for family, _, _, _, address in found]
        if not endpoints:
            raise NetworkError("the name has no address")
        # One that may not be called spoils the rest: whoever mixes them is up to something.
        if not all(may_be_called(ip_address(a[0]), allow_private=self._allow_private) for _, a in endpoints):
            raise InvalidInputError("url", "must lead to public addresses only")
        return tuple(endpoints[:_MOST_ENDPOINTS])

    def _work(self, target: Target, answer: Future[Sequence[tuple[Any, ...]]]) -> None:
        try:
            found = self._lookup(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)
        else:
            answer.set_result(found)
        finally:
            with self._changed:
                self._running -= Counter([target.host])
                self._changed.notify_all()

    def _has_place(self, host: str) -> bool:
        return self._running.total() < _MOST_LOOKUPS and self._running[host] < _MOST_OF_HOST
