"""Questions to a Prometheus over its HTTP API, each bounded in time, size and number of points."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests

from app.cli.masking import masked_url
from app.domain.errors import DeadlineExceededError, MarketplaceError, NetworkError, PermanentError
from monitoring.rendering.series import Point, Series

#: Prometheus refuses a range query with more points per series ("exceeded maximum resolution of 11,000 points").
MAX_POINTS = 11_000
#: Bytes of an answer; far more than a page can show.
_MAX_BYTES = 64 * 2**20
_CHUNK = 2**16

#: Whatever JSON can say.
_Json: TypeAlias = Any


class QueryError(PermanentError):
    """Prometheus refused a query, or its answer cannot be used; the text has the query and what Prometheus said."""

    code = "query"


class Prometheus:
    """One Prometheus server; answers are kept, so that equal questions are asked once.

    Args:
        url: Root of the server, as `http://127.0.0.1:9090`.
        timeout_seconds: For one question from start to end; Prometheus is told to give up then too.

    Every question raises NetworkError or DeadlineExceededError when the server does not answer, and QueryError when
    it refuses.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self._url = url.rstrip("/")
        #: Root of the server without a password, for texts.
        self.url = masked_url(self._url)
        self._timeout = timeout_seconds
        self._session = requests.Session()
        # A proxy of the environment does not lead to this machine.
        self._session.trust_env = urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}
        self._answers: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}

    def instant(self, expr: str, at: float) -> list[Series]:
        """Return the series of an expression at a Unix time, each with one point."""
        return _series(self._ask("query", expr, {"query": expr, "time": _time(at)}), expr, step=0.0)

    def range(self, expr: str, start: float, end: float, step: float) -> list[Series]:
        """Return the series of an expression between two Unix times, every `step` seconds.

        Raises:
            QueryError: It would be more than `MAX_POINTS` points a series.
        """
        if (end - start) / step >= MAX_POINTS:
            raise QueryError(f"{expr}: a step of {step:g} s makes more than {MAX_POINTS:,} points a series")
        query = {"query": expr, "start": _time(start), "end": _time(end), "step": f"{step:g}"}
        return _series(self._ask("query_range", expr, query), expr, step=step)

    def label_values(self, label: str, matcher: str, start: float, end: float) -> list[str]:
        """Return the values of a label, sorted; `matcher` is a selector, empty for all series."""
        query = {"start": _time(start), "end": _time(end), **({"match[]": matcher} if matcher else {})}
        asked = f"label_values({matcher}, {label})"
        found = self._ask(f"label/{label}/values", asked, query)
        if not isinstance(found, list):
            raise QueryError(f"{asked}: Prometheus answered with something else than a list")
        return sorted(str(value) for value in found)

    def _ask(self, path: str, asked: str, query: Mapping[str, str]) -> _Json:
        key = (path, tuple(sorted(query.items())))
        if key not in self._answers:
            self._answers[key] = self._send(path, asked, query)
        return self._answers[key]

    def _send(self, path: str, asked: str, query: Mapping[str, str]) -> _Json:
        url = f"{self._url}/api/v1/{path}"
        # Range and instant queries are told to stop when we no longer wait; the label endpoint knows no timeout.
        limit = {"timeout": f"{self._timeout:g}s"} if path.startswith("query") else {}
        try:
            with self._session.get(
                url, params={**query, **limit}, timeout=self._timeout, stream=True, allow_redirects=False
            ) as answer:
                body = self._read(answer, asked)
        except requests.Timeout:
            raise DeadlineExceededError(f"{self.url} did not answer within {self._timeout:g} s: {asked}") from None
        except (requests.RequestException, ValueError) as error:
            raise NetworkError(f"Prometheus at {self.url} cannot be reached ({type(error).__name__})") from None
        return _data(answer.status_code, body, asked, self.url)

    def _read(self, answer: requests.Response, asked: str) -> bytes:
        deadline, body = time.monotonic() + self._timeout, bytearray()
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if len(body) > _MAX_BYTES:
                raise QueryError(f"{asked}: the answer is larger than {_MAX_BYTES // 2**20} MiB")
            if time.monotonic() > deadline:
                raise requests.Timeout
        return bytes(body)


def _data(status: int, body: bytes, asked: str, url: str) -> _Json:
    """Return the data of an answer; raise what Prometheus says is wrong with the question."""
    try:
        document = json.loads(body)
        outcome = document["status"]
    except (ValueError, KeyError, TypeError):
        raise _no_prometheus(status, url) from None
    if outcome != "success":
        raise QueryError(f"{asked}: {document.get('errorType', 'error')}: {document.get('error', f'HTTP {status}')}")
    return document.get("data")


def _no_prometheus(status: int, url: str) -> MarketplaceError:
    if status >= requests.codes.internal_server_error:
        return NetworkError(f"Prometheus at {url} does not answer (HTTP {status})")
    return NetworkError(f"{url} answered with something that is not Prometheus's API (HTTP {status})")


def _series(data: _Json, expr: str, *, step: float) -> list[Series]:
    try:
        kind, result = data["resultType"], data["result"]
        if kind == "matrix":
            return _sorted(Series("", found["metric"], _points(found["values"]), step) for found in result)
        if kind == "vector":
            return _sorted(Series("", found["metric"], _points([found["value"]]), step) for found in result)
        if kind == "scalar":
            return [Series("", {}, _points([result]), step)]
    except (KeyError, TypeError, ValueError, IndexError):
        raise QueryError(f"{expr}: Prometheus's answer cannot be read") from None
    raise QueryError(f"{expr}: gives a {kind}, which is no number")


def _sorted(series: Iterable[Series]) -> list[Series]:
    """Return them by labels: the order of a matrix is that of Prometheus's hash tables."""
    return sorted(series, key=lambda one: sorted(one.labels.items()))


def _points(pairs: Iterable[tuple[float, str]]) -> tuple[Point, ...]:
    return tuple((float(at), _number(value)) for at, value in pairs)


def _number(text: str) -> float:
    """Return a sample's value; Prometheus writes `+Inf`, `-Inf` and `NaN`."""
    value = float(text)
    return math.nan if math.isnan(value) else value


def _time(at: float) -> str:
    return f"{at:.3f}"
