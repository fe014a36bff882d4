"""Cards as log lines, for whoever reads the log while Slack cannot be reached."""

from __future__ import annotations

import structlog

from alerting.messages.cards import Card, MessageKind
from app.domain.alerts import Severity

_log = structlog.stdlib.get_logger(__name__)


def log_card(card: Card) -> None:
    """Write what a message says to the log, at the level of its severity; without the link that silences an alert."""
    log = {Severity.CRITICAL: _log.error, Severity.WARNING: _log.warning}.get(card.severity, _log.info)
    if card.kind is MessageKind.RECOVERY:
        log = _log.info
    log("alert_message", **card.model_dump(mode="json", exclude_defaults=True, exclude={"links": {"silence"}}))
