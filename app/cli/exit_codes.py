"""Exit codes of the `marketplace` command: what each error of ours means to a script."""

from __future__ import annotations

from enum import IntEnum

from app.domain.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    MarketplaceError,
    NetworkError,
    NotAllowedError,
    NotFoundError,
    RedisUnavailableError,
    RemoteAuthError,
)


class ExitCode(IntEnum):
    """Stable: scripts and the documentation rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """A wrong option, argument, input or setting."""
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNREACHABLE = 5
    """Something that the command depends on did not answer, or its port was taken."""
    CHECK_FAILED = 6
    """The command did its work and found problems."""
    INTERRUPTED = 130


_MEANINGS: tuple[tuple[ExitCode, tuple[type[MarketplaceError], ...]], ...] = (
    (ExitCode.NOT_FOUND, (NotFoundError,)),
    (ExitCode.NOT_ALLOWED, (NotAllowedError, RemoteAuthError)),
    (
        ExitCode.UNREACHABLE,
        (NetworkError, DeadlineExceededError, DatabaseUnavailableError, RedisUnavailableError),
    ),
    (ExitCode.USAGE, (ConfigurationError, InvalidInputError)),
)


def exit_code_of(error: MarketplaceError) -> ExitCode:
    """Return the code that a command ends with after this error.

    >>> exit_code_of(NotFoundError("no such plan")).name
    'NOT_FOUND'
    """
    return next((code for code, kinds in _MEANINGS if isinstance(error, kinds)), ExitCode.FAILED)
