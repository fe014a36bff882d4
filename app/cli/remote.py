"""The API of a running stack: the one in this directory, or the one that MARKETPLACE_URL names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import requests
from requests.auth import AuthBase

from app.domain.errors import (
    ConfigurationError,
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
    NotAllowedError,
    NotFoundError,
    PermanentError,
    RateLimitedError,
    RemoteServerError,
)

_TIMEOUT_SECONDS = 30.0
_PAGE = 200
#: Where `marketplace run` keeps the data of the stack that it started in the current directory.
_LOCAL = Path("var")

_UNREACHABLE = {requests.codes.bad_gateway, requests.codes.service_unavailable, requests.codes.gateway_timeout}
_ERRORS: dict[int, type[MarketplaceError]] = {
    requests.codes.unauthorized: NotAllowedError,
    requests.codes.forbidden: NotAllowedError,
    requests.codes.not_found: NotFoundError,
    requests.codes.conflict: ConflictError,
    requests.codes.too_many_requests: RateLimitedError,
}


class _Bearer(AuthBase):
    """Sends the token; as an `auth` object, so that no ~/.netrc replaces it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Remote:
    """One stack's API.

    Args:
        url: Root of the stack, without `/api`.
        token: Bearer token, None to send none.
        direct: Whether to ignore the proxies of the environment, as for a stack on this machine.
    """

    def __init__(self, url: str, token: str | None, *, direct: bool = False) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = not direct
        self._session.auth = _Bearer(token)

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Return the JSON object at a path below `/api/marketplace`; query values of None are left out.

        Raises:
            MarketplaceError: By what the stack answered; NetworkError and DeadlineExceededError when it did not.
        """
        return self._call("GET", path, params=_given(query))

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a JSON object and return the one in the answer; raises as `get` does."""
        return self._call("POST", path, json=body)

    def put(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a JSON object and return the one in the answer; raises as `get` does."""
        return self._call("PUT", path, json=body)

    def patch(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a JSON object and return the one in the answer; raises as `get` does."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Delete something and return the JSON object in the answer; arguments and errors are those of `get`."""
        return self._call("DELETE", path, params=_given(query))

    def lines(self, path: str, **query: str | None) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects of an answer that has one a line, as they arrive.

        Raises:
            NetworkError: The answer broke off; what came before is not all. Otherwise as `get`.
        """
        with self._send("GET", path, params=_given(query), stream=True) as answer:
            try:
                for line in answer.iter_lines():
                    yield json.loads(line)
            except (requests.RequestException, ValueError):
                raise NetworkError(f"the answer of {self._url} broke off") from None

    def items(self, path: str, *, limit: int, **query: str | None) -> Iterator[dict[str, Any]]:
        """Yield up to `limit` items of a list, over as many pages as it takes; raises as `get` does."""
        cursor = None
        while limit > 0:
            page = self.get(path, limit=min(limit, _PAGE), cursor=cursor, **query)
            yield from page["items"]
            limit -= len(page["items"])
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._send(method, path, **options)
        try:
            document = answer.json()
        except requests.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise PermanentError(f"{self._url} answered with something that is not this product's API")
        return document

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self._url}/api/marketplace/{path}"
        try:
            # A redirect would carry the token to a place that nobody named.
            answer = self._session.request(method, url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, **options)
        except requests.Timeout:
            raise DeadlineExceededError(f"{self._url} did not answer within {_TIMEOUT_SECONDS:.0f} s") from None
        except (requests.RequestException, ValueError) as error:
            raise NetworkError(f"{self._url} cannot be reached ({type(error).__name__})") from None
        if not requests.codes.ok <= answer.status_code < requests.codes.multiple_choices:
            _raise(answer)
        return answer


def connect() -> Remote:
    """Return the API that the environment names, else that of the stack which runs in this directory.

    Raises:
        ConfigurationError: MARKETPLACE_TOKEN_FILE cannot be read.
        NetworkError: Nothing is named and nothing runs here.
    """
    url, token = os.environ.get("MARKETPLACE_URL"), _given_token()
    if url:
        # The local admin token is for the local stack: it never goes anywhere else.
        return Remote(url, token)
    try:
        facts = json.loads((_LOCAL / "run.json").read_text(encoding="utf-8"))
        return Remote(facts["urls"]["web"], token or _read(_LOCAL / "admin-token"), direct=True)
    except FileNotFoundError:
        raise NetworkError(
            "no stack runs here: start one with `marketplace run`, or set MARKETPLACE_URL and MARKETPLACE_TOKEN"
        ) from None


def _given(query: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in query.items() if value is not None}


def _given_token() -> str | None:
    file = os.environ.get("MARKETPLACE_TOKEN_FILE")
    try:
        return os.environ.get("MARKETPLACE_TOKEN") or (_read(Path(file)) if file else None)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"MARKETPLACE_TOKEN_FILE: cannot be read ({type(error).__name__})") from None


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _raise(answer: requests.Response) -> NoReturn:
    """Raise what a problem document says, in our own tree of errors."""
    try:
        problem = answer.json()
        detail, faults = str(problem["detail"]), problem.get("errors") or []
    except (requests.JSONDecodeError, KeyError, TypeError, AttributeError):
        detail, faults = f"HTTP {answer.status_code} {answer.reason}", []
    if answer.status_code in _ERRORS:
        raise _ERRORS[answer.status_code](detail)
    if answer.status_code in _UNREACHABLE:
        raise NetworkError(detail)
    if answer.status_code >= requests.codes.internal_server_error:
        raise RemoteServerError(detail)
    if faults:
        raise InvalidInputError(str(faults[0]["field"]), "; ".join(str(fault["message"]) for fault in faults))
    raise PermanentError(detail)
