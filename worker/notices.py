"""Delivery of notices to the relay, signed after Standard Webhooks, at least once, in order for each issue.

A notice is never given up before it expires: whatever keeps the relay from taking it gets mended by people in time.
The notice's id is the `webhook-id`. docs/decisions/direct-notices.md
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from app.domain.deadline import Deadline
from app.domain.errors import ConfigurationError, MarketplaceError, RecoverableError, RemoteAuthError
from app.domain.notices import NOTICE_TYPE
from app.live_metrics import LiveMetrics
from app.metrics import NOTICES
from app.outbound import Outbound, raise_for_status
from app.storage.database import Database
from app.storage.notice_deliveries import (
    ClaimedNotice,
    claim_notices,
    end_notice,
    expire_notices,
    forget_notices,
    is_notice_due,
    put_back_notice,
)

_log = structlog.stdlib.get_logger(__name__)

#: The scheduler looks for notices this often: from its commit to the relay, a notice takes little more.
POLL_SECONDS = 0.25

#: What is old is looked for this often.
TIDY_SECONDS = 60.0

#: Pauses before the next attempt while the relay cannot be reached or is unwell; the last one repeats.
RETRY_DELAYS_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)

#: Pause after the relay refused a notice, say for a wrong secret: people mend that.
REFUSED_DELAY_SECONDS = 60.0

TIMEOUT_SECONDS = 5.0

#: Notices that are claimed at once.
_BATCH = 20

#: Notices of one transaction that deletes old ones: SQLite has one writer at a time.
_FORGOTTEN_AT_ONCE = 500

_SECRET_VARIABLE = "MARKETPLACE_RELAY__EVENTS_SECRET"  # noqa: S105 -- the name of the variable that holds it


class NoticeDelivery:
    """Sends what the relay does not have yet, one after the other; any number of processes may do so at once.

    Raises:
        ConfigurationError: There is no secret, or it cannot sign.
    """

    def __init__(
        self,
        database: Database,
        outbound: Outbound,
        metrics: LiveMetrics,
        *,
        relay_url: str,
        secret: SecretStr | None,
        owner: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._metrics = metrics
        self._url = f"{relay_url}/events"
        self._signing = _signing(secret)
        self._owner = owner
        self._monotonic = monotonic
        self._failures = 0
        self._not_before = -math.inf

    def deliver_due(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Send every notice that is due; return how many the relay took. `go_on` is asked before each one.

        Raises:
            DatabaseUnavailableError: Notices could not be claimed, or how they ended is not written: they are sent
                again.
        """
        delivered = 0
        while self._monotonic() >= self._not_before and go_on() and (claimed := self._claim()):
            delivered += self._deliver(claimed, go_on)
        return delivered

    def tidy(self) -> None:
        """End what has waited for too long, and delete what ended long ago.

        Raises:
            DatabaseUnavailableError: It is done the next time.
        """
        with self._database.write() as connection:
            expired = expire_notices(connection)
        self._metrics.count(NOTICES, len(expired), outcome="expired")
        for notice_id, alert in expired:
            _log.error("notice_expired", notice_id=str(notice_id), alert=alert)
        while True:
            with self._database.write() as connection:
                forgotten = forget_notices(connection, limit=_FORGOTTEN_AT_ONCE)
            if forgotten < _FORGOTTEN_AT_ONCE:
                return
            self._database.give_way()

    def _claim(self) -> Sequence[ClaimedNotice]:
        # Most of the time nothing is due, and to learn that takes no lock.
        with self._database.read() as connection:
            if not is_notice_due(connection):
                return []
        with self._database.write() as connection:
            return claim_notices(
                connection, owner=self._owner, lease_seconds=(_BATCH + 1) * TIMEOUT_SECONDS, limit=_BATCH
            )

    def _deliver(self, claimed: Sequence[ClaimedNotice], go_on: Callable[[], bool]) -> int:
        """Send these until one is not taken, and write how they ended; return how many the relay took.

        When that is not written they are sent again: the relay knows them by their ids.
        """
        delivered = 0
        error = None
        for notice in claimed:
            if not go_on():
                break
            error = self._attempt(notice)
            if error is not None:
                break
            delivered += 1
        left = claimed[delivered:]
        with self._database.write() as connection:
            for notice in claimed[:delivered]:
                end_notice(connection, notice)
            if error is not None:
                put_back_notice(connection, left[0], error=str(error), delay_seconds=_delay(error, left[0].attempt))
            for notice in left if error is None else left[1:]:
                put_back_notice(connection, notice)
        self._metrics.count(NOTICES, delivered, outcome="delivered")
        if delivered:
            self._failures = 0
        if error is not None:
            self._note(left[0], error)
        return delivered

    def _attempt(self, notice: ClaimedNotice) -> MarketplaceError | None:
        body = notice_body(notice.data)
        sent_at = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": str(notice.id),
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": self._signing.sign(str(notice.id), sent_at, body),
        }
        try:
            deadline = Deadline.after(TIMEOUT_SECONDS)
            raise_for_status(self._outbound.post(self._url, body.encode(), headers, deadline, head_only=True))
        except MarketplaceError as error:
            return error
        return None

    def _note(self, notice: ClaimedNotice, error: MarketplaceError) -> None:
        """Leave the relay alone for a while when it would take no other notice either, and tell what happened."""
        self._failures += 1
        refused = not isinstance(error, RecoverableError)
        if not refused or isinstance(error, RemoteAuthError):
            self._not_before = self._monotonic() + _delay(error, self._failures)
        self._metrics.count(NOTICES, outcome="refused" if refused else "retrying")
        # A person should look, but not once a minute.
        log = _log.error if refused and notice.error_message != str(error) else _log.warning
        log(
            "notice_not_delivered",
            notice_id=str(notice.id),
            attempt=notice.attempt,
            error_code=error.code,
            error=str(error),
        )


def notice_body(data: Mapping[str, Any]) -> str:
    """Return the signed event that carries a notice."""
    return json.dumps(
        {"type": NOTICE_TYPE, "timestamp": data["at"], "data": data}, ensure_ascii=False, separators=(",", ":")
    )


def _signing(secret: SecretStr | None) -> Webhook:
    if secret is None:
        raise ConfigurationError(f"{_SECRET_VARIABLE}: must be set where MARKETPLACE_RELAY__URL is")
    try:
        return Webhook(secret.get_secret_value())
    except ValueError as error:
        raise ConfigurationError(f"{_SECRET_VARIABLE}: must be `whsec_` and base64") from error


def _delay(error: MarketplaceError, attempt: int) -> float:
    if not isinstance(error, RecoverableError):
        return REFUSED_DELAY_SECONDS
    return RETRY_DELAYS_SECONDS[min(attempt, len(RETRY_DELAYS_SECONDS)) - 1]
