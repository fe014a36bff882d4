"""What the log is told about a route: once that it fails and why, its messages while it does, and that it is back."""

from __future__ import annotations

import structlog

from alerting.slack import waiting
from alerting.slack.card_log import log_card
from alerting.slack.client import Outcome, SlackAnswer
from alerting.slack.routes import Route
from alerting.store import Store

_log = structlog.stdlib.get_logger(__name__)

#: A limit that is over so soon is no outage: nobody has to look into the log instead.
_SHORT_LIMIT_SECONDS = 10.0

#: Cards that are logged in one transaction, and transactions until Slack is tried again.
_LOG_BATCH = 100
_MOST_BATCHES = 10


class RouteReport:
    """Belongs to the thread of its route; `problem` may be read by others."""

    def __init__(self, store: Store, route: Route, *, problem: str | None) -> None:
        self._store = store
        self._route = route
        #: Why nothing gets through; None while all is well.
        self.problem = problem
        #: The wrong setting that was logged last.
        self._reported: str | None = None
        #: Of what waits, everything up to this id is in the log.
        self._logged_upto = 0

    def failed(self, answer: SlackAnswer, *, pause_seconds: float) -> None:
        """Tell of a failure, after which nothing is sent for so long."""
        problem = answer.problem or str(answer.outcome)
        if answer.outcome is Outcome.RATE_LIMITED and pause_seconds <= _SHORT_LIMIT_SECONDS:
            return
        if answer.outcome in {Outcome.RATE_LIMITED, Outcome.UNAVAILABLE}:
            if self.problem is None:
                pause = round(pause_seconds, 1)
                _log.warning("slack_unavailable", route=self._route.name, problem=problem, next_in_seconds=pause)
        elif problem != self._reported:
            self._reported = problem
            advice = "docs/howto/slack.md tells what it means; messages wait, and are in this log"
            _log.error("slack_misconfigured", route=self._route.name, problem=problem, advice=advice)
        self.problem = problem
        self.log_waiting()

    def well(self, *, after_seconds: float) -> None:
        """Tell that a message was taken, so long after the first failure."""
        if self.problem is not None:
            _log.info("slack_available", route=self._route.name, after_seconds=round(after_seconds, 1))
        self.problem = self._reported = None

    def log_waiting(self) -> None:
        """While the route fails, write every message that waits to the log, once: somebody may look there."""
        for _ in range(_MOST_BATCHES if self.problem is not None else 0):
            severities, after = self._route.severities, self._logged_upto
            with self._store.read() as connection:
                cards = waiting.unlogged(connection, severities, after=after, most=_LOG_BATCH)
            if not cards:
                return
            for _, card in cards:
                log_card(card)
            with self._store.write() as connection:
                waiting.mark_logged(connection, [message for message, _ in cards])
            self._logged_upto = cards[-1][0]
