"""Every error of the product: one tree, and its type alone decides whether a job is retried.

Adapters translate: nothing of redis, SQLAlchemy or requests passes above `storage`, `agents` and `job_queue`.
"""

from __future__ import annotations


class MarketplaceError(Exception):
    """Root of all our errors.

    `code` is stable: it stands in problem documents, job histories, logs and metric labels.
    """

    code = "internal_error"


class RecoverableError(MarketplaceError):
    """The same call may succeed later: a job that meets it is retried.

    `retry_after_seconds` is how long the other side asked to be left alone, or None when it did not say.
    """

    code = "recoverable"

    def __init__(self, message: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NetworkError(RecoverableError):
    """The other side could not be reached, or the connection broke."""

    code = "network"


class DeadlineExceededError(RecoverableError):
    """The time that was given ran out before an answer was complete."""

    code = "timeout"


class RateLimitedError(RecoverableError):
    """The other side asked us to come later (HTTP 429 or 425)."""

    code = "rate_limited"


class RemoteServerError(RecoverableError):
    """The other side failed by its own account (HTTP 5xx, but for 501 and 505)."""

    code = "server_error"


class RetryBudgetExhaustedError(RecoverableError):
    """The agent was not called: too many of its calls are retries already. It says nothing about the agent's health."""

    code = "retry_budget_exhausted"


class AgentBusyError(RecoverableError):
    """The agent was not called: it has as many calls as this process may make. It says nothing about its health.

    `turn_seconds` is after how long there may be room for this call.
    """

    code = "agent_busy"

    def __init__(self, message: str = "", turn_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.turn_seconds = turn_seconds


class DatabaseUnavailableError(RecoverableError):
    """The database did not answer, or stayed locked."""

    code = "database_unavailable"


class RedisUnavailableError(RecoverableError):
    """Redis did not answer in time, or refused to."""

    code = "redis_unavailable"


class PermanentError(MarketplaceError):
    """The same call would fail again: no retry."""

    code = "permanent"


class InvalidInputError(PermanentError):
    """What we were given breaks a rule.

    `field` names the place, in the words of the caller (`channels.0`, `planData.phases.1.name`).
    """

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class MalformedInputError(InvalidInputError):
    """What we were given cannot even be read: not UTF-8, not JSON, not the format that it claims to be."""

    code = "malformed_input"


class BadAnswerError(PermanentError):
    """An agent answered, but not with anything that can be used."""

    code = "bad_answer"


class CircuitOpenError(PermanentError):
    """The agent was not called: too many calls to it have failed, or an operator has opened its circuit."""

    code = "circuit_open"


class RemoteAuthError(PermanentError):
    """The other side did not accept our credentials (HTTP 401 or 403)."""

    code = "remote_auth"


class RemoteRejectedError(PermanentError):
    """The other side refused our request (any other HTTP 4xx, 501, 505, or a redirect)."""

    code = "remote_rejected"


class NotFoundError(PermanentError):
    """There is no such thing."""

    code = "not_found"


class ConflictError(PermanentError):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class NotAuthenticatedError(PermanentError):
    """The caller gave no token, or one that is unknown, expired or revoked; the text does not tell which."""

    code = "not_authenticated"


class NotAllowedError(PermanentError):
    """The caller's role does not allow this."""

    code = "not_allowed"


class ConfigurationError(PermanentError):
    """The configuration cannot work; the text lists every problem and no value."""

    code = "configuration"


class FencedError(PermanentError):
    """This run of the job lost its lease to another: its work is dropped, nothing is written."""

    code = "fenced"


#: Codes of the errors that a job is retried for.
RECOVERABLE_CODES: tuple[str, ...] = (
    RecoverableError.code,
    *(error.code for error in RecoverableError.__subclasses__()),
)
