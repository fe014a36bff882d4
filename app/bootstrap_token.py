"""The admin token that a setting gives: made valid once the database has its tables."""

from __future__ import annotations

import threading

import structlog
from pydantic import SecretStr

from app.domain.errors import ConflictError, DatabaseUnavailableError
from app.domain.roles import Role
from app.tokens import Tokens

_log = structlog.stdlib.get_logger(__name__)

NAME = "bootstrap-admin"

#: Seconds between two tries while the database does not answer.
_PAUSE_SECONDS = 0.2


class BootstrapToken:
    """Makes the token valid; `is_done` when that has been seen to, and from the start where there is none."""

    def __init__(self, tokens: Tokens, token: SecretStr | None) -> None:
        self._tokens = tokens
        self._token = token
        self._done = threading.Event()
        if token is None:
            self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether this process need not be waited for because of the token."""
        return self._done.is_set()

    def keep(self, stop: threading.Event) -> None:
        """See to the token, which needs the tables; try again while the database does not answer, until `stop`."""
        while not self._done.is_set():
            try:
                self._keep()
            except DatabaseUnavailableError as error:
                _log.warning("bootstrap_token_waits", reason=str(error))
                if stop.wait(_PAUSE_SECONDS):
                    return
            else:
                self._done.set()

    def _keep(self) -> None:
        if self._token is None:
            return
        try:
            if self._tokens.keep(NAME, self._token.get_secret_value(), Role.ADMIN):
                _log.info("bootstrap_token_made", name=NAME)
        except ConflictError:
            # It works, or was revoked, under its own name: no reason to serve nobody.
            _log.warning("bootstrap_token_is_another", name=NAME)
