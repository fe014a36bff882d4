"""Which outcomes of a call speak of the agent's health."""

from __future__ import annotations

from app.domain.errors import (
    BadAnswerError,
    DeadlineExceededError,
    MarketplaceError,
    NetworkError,
    RateLimitedError,
    RemoteServerError,
)

#: A call that was given less time than this tells nothing by running out of it; no agent's own limit is so short.
FAIR_SECONDS = 0.5

_SICKNESS = (NetworkError, RateLimitedError, RemoteServerError, BadAnswerError)


def is_sickness(error: BaseException, *, given_seconds: float) -> bool:
    """Tell whether this error of a call, which was given so much time, speaks of a sick agent.

    Refused connections, timeouts, 5xx, 429 and unusable answers do. What is of our own making does not: invalid
    requests, wrong credentials, a retry budget that is spent, a call that was cancelled or came too late.
    """
    if isinstance(error, DeadlineExceededError):
        return given_seconds >= FAIR_SECONDS
    return isinstance(error, MarketplaceError) and isinstance(error, _SICKNESS)
