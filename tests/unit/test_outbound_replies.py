from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.errors import (
    DeadlineExceededError,
    MarketplaceError,
    RateLimitedError,
    RecoverableError,
    RemoteAuthError,
    RemoteRejectedError,
    RemoteServerError,
)
from app.outbound import Reply, raise_for_status
from app.outbound.replies import retry_after_seconds

_NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _error(status: int, body: bytes = b"", secret: str = "") -> MarketplaceError:
    with pytest.raises(MarketplaceError) as raised:
        raise_for_status(Reply(status, {}, body), secret=secret)
    return raised.value


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_passes(status: int) -> None:
    raise_for_status(Reply(status, {}, b""))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (101, RemoteRejectedError),
        (301, RemoteRejectedError),
        (302, RemoteRejectedError),
        (400, RemoteRejectedError),
        (401, RemoteAuthError),
        (403, RemoteAuthError),
        (404, RemoteRejectedError),
        (408, DeadlineExceededError),
        (413, RemoteRejectedError),
        (422, RemoteRejectedError),
        (425, RateLimitedError),
        (429, RateLimitedError),
        (500, RemoteServerError),
        (501, RemoteRejectedError),
        (502, RemoteServerError),
        (503, RemoteServerError),
        (504, RemoteServerError),
        (505, RemoteRejectedError),
        (599, RemoteServerError),
        (999, RemoteRejectedError),
    ],
)
def test_each_status_stands_for_one_error(status: int, error: type[MarketplaceError]) -> None:
    assert type(_error(status)) is error


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("0", 0.0, id="now"),
        pytest.param(" 120 ", 120.0, id="seconds"),
        pytest.param("Thu, 01 Jan 2026 12:01:30 GMT", 90.0, id="date"),
        pytest.param("Thursday, 01-Jan-26 12:01:30 GMT", 90.0, id="old-date"),
        pytest.param("Thu, 01 Jan 2026 11:00:00 GMT", 0.0, id="date-in-the-past"),
        pytest.param("Thu, 01 Jan 2026 12:01:30 -0000", 90.0, id="date-without-zone"),
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("soon", None, id="a-word"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("9" * 5000, None, id="enormous"),
        pytest.param("Thu, 99 Jan 2026 12:01:30 GMT", None, id="impossible-date"),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, _NOW) == seconds


@pytest.mark.parametrize("status", [425, 429, 500, 503])
def test_an_error_carries_how_long_the_other_side_asked_to_be_left_alone(status: int) -> None:
    with pytest.raises(RecoverableError) as limited:
        raise_for_status(Reply(status, {"Retry-After": "7"}, b""))
    assert limited.value.retry_after_seconds == 7.0


def test_an_error_quotes_the_beginning_of_the_answer_on_one_line() -> None:
    text = str(_error(500, b"out of\r\n\x00memory " + b"x" * 5000))
    assert text.startswith("HTTP 500: out of memory xxx")
    assert len(text) < 220


def test_an_error_leaves_out_the_secret_that_the_answer_repeats() -> None:
    assert str(_error(400, b"bad key sk-secret!", "sk-secret")) == "HTTP 400: bad key ***!"


def test_an_error_about_credentials_quotes_nothing() -> None:
    assert "sk-other" not in str(_error(401, b"bad key sk-other"))
