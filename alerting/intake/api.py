"""The HTTP edge of the relay: alerts and events in, health and metrics out."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from flask import Flask, Response, request
from prometheus_client.exposition import choose_encoder
from pydantic import SecretStr
from werkzeug.exceptions import HTTPException

from alerting.intake.alertmanager_webhook import read_webhook
from alerting.intake.intake import Intake
from alerting.intake.notices import OldTimestampError, read_notice, verify
from alerting.intake.refusals import MEDIA_TYPE, Answer, Reason, problem, refuse
from alerting.issues.decisions import Decided
from alerting.issues.issue import Outcome
from app.domain.errors import DatabaseUnavailableError, InvalidInputError, NotAuthenticatedError
from app.live_metrics import LiveMetrics
from app.metrics import ERRORS
from app.settings.relay import RelaySettings

_log = structlog.stdlib.get_logger(__name__)


def create_app(edge: IntakeEdge) -> Flask:
    """Return the application; pages for people are added to it where the process is put together."""
    app = Flask("relay", static_folder=None)
    app.add_url_rule("/alerts", view_func=edge.take_alerts, methods=["POST"])
    app.add_url_rule("/events", view_func=edge.take_event, methods=["POST"])
    app.add_url_rule("/health/live", view_func=edge.live)
    app.add_url_rule("/health/ready", view_func=edge.ready)
    app.add_url_rule("/metrics", view_func=edge.tell_metrics)
    app.register_error_handler(InvalidInputError, edge.refuse_input)
    app.register_error_handler(DatabaseUnavailableError, edge.refuse_for_now)
    app.register_error_handler(HTTPException, _tell_http)
    app.register_error_handler(Exception, edge.tell_defect)
    return app


class IntakeEdge:
    """Answers requests. `problems` are those that only a restart mends; `clock` tells seconds since 1970."""

    def __init__(
        self,
        intake: Intake,
        settings: RelaySettings,
        metrics: LiveMetrics,
        *,
        environment: str,
        see_watchdog: Callable[[], None],
        problems: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert settings.events_secret is not None  # noqa: S101 -- the entry has checked it
        self._events_secret = settings.events_secret
        self._intake = intake
        self._settings = settings
        self._metrics = metrics
        self._environment = environment
        self._see_watchdog = see_watchdog
        self._problems = problems
        self._clock = clock

    def take_alerts(self) -> Answer:
        """Take what Alertmanager sends."""
        if not _has_token(request.headers.get("Authorization", ""), self._settings.alertmanager_token):
            return self._refuse(Reason.TOKEN, "Alertmanager's bearer token is needed")
        now = datetime.fromtimestamp(self._clock(), UTC)
        webhook = read_webhook(request.get_data(), environment=self._environment, now=now)
        if webhook.has_watchdog:
            self._see_watchdog()
        decided = self._intake.take(webhook.signals) if webhook.signals else []
        if webhook.faults:
            # The others are accepted: to refuse them all would lose them, for Alertmanager does not come again.
            return self._refuse(Reason.MALFORMED, str(webhook.faults[0]), webhook.faults)
        return _accepted(decided)

    def take_event(self) -> Answer:
        """Take a signed event of the pipeline; one that comes again is answered alike and changes nothing."""
        body = request.get_data()
        headers = {name.lower(): value for name, value in request.headers.items()}
        tolerance = self._settings.event_tolerance_seconds
        try:
            verify(headers, body, self._events_secret, now=self._clock(), tolerance_seconds=tolerance)
        except OldTimestampError as error:
            return self._refuse(Reason.TIMESTAMP, str(error))
        except NotAuthenticatedError as error:
            return self._refuse(Reason.SIGNATURE, str(error))
        return _accepted(self._intake.take([read_notice(body)]))

    def live(self) -> Answer:
        """Tell whether the threads go on."""
        wrong = list(self._problems())
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        return _json({"status": "unwell" if wrong else "alive", "problems": wrong}, status)

    def ready(self) -> Answer:
        """Tell whether signals can be accepted."""
        try:
            self._intake.check()
        except DatabaseUnavailableError as error:
            _log.warning("relay_not_ready", error=str(error))
            return _json({"status": "not_ready"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"status": "ready"}, HTTPStatus.OK)

    def tell_metrics(self) -> Response:
        """Tell what was counted."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(self._metrics.registry), content_type=content_type)

    def refuse_input(self, error: InvalidInputError) -> Answer:
        """Refuse what cannot be understood."""
        return self._refuse(Reason.MALFORMED, str(error), [error])

    def refuse_for_now(self, error: DatabaseUnavailableError) -> Answer:
        """Ask the sender to come again."""
        _log.error("relay_cannot_write", error=str(error))
        return self._refuse(Reason.UNAVAILABLE, "the relay cannot write now")

    def tell_defect(self, _error: Exception) -> Answer:
        """Answer what nobody expected."""
        self._metrics.count(ERRORS, place="relay_intake")
        _log.exception("relay_request_raised")
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return problem(status, "a defect; the log has it", code="internal_error"), status, {"Content-Type": MEDIA_TYPE}

    def _refuse(self, reason: Reason, detail: str, faults: Sequence[InvalidInputError] = ()) -> Answer:
        return refuse(self._metrics, reason, detail, path=request.path, faults=faults)


def _tell_http(error: HTTPException) -> Answer:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    body = problem(status, status.phrase, code=status.phrase.lower().replace(" ", "_"))
    return body, status, {"Content-Type": MEDIA_TYPE, **allow}


def _has_token(header: str, expected: SecretStr | None) -> bool:
    scheme, _, token = header.partition(" ")
    if expected is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(token.strip().encode(), expected.get_secret_value().encode())


def _accepted(decided: Sequence[Decided]) -> Answer:
    counts = {outcome.value: sum(one.outcome is outcome for one in decided) for outcome in Outcome}
    return _json({"status": "accepted", **{name: count for name, count in counts.items() if count}}, HTTPStatus.OK)


def _json(document: object, status: HTTPStatus) -> Answer:
    return json.dumps(document), status, {"Content-Type": "application/json"}
