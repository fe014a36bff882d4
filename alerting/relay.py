"""Entry of the relay process: alerts and notices in, messages out. One process, with a file of its own."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping

import click
import structlog

from alerting.committer import Committer
from alerting.intake.api import IntakeEdge, create_app
from alerting.intake.intake import Intake
from alerting.intake.server import IntakeServer
from alerting.issues.decisions import Decisions
from alerting.issues.rows import is_firing
from alerting.issues.throttle import Pace
from alerting.messages.links import LinkMaker
from alerting.render.command import render
from alerting.rules.groups import alert_rules
from alerting.silences.pages import silences
from alerting.silences.silence_links import silence_links
from alerting.slack.delivery import Delivery
from alerting.store import Store
from alerting.ticker import Ticker
from alerting.watchdog import DeadMansSwitch, blind_issue
from app.domain.alerts import MONITORING_BLIND
from app.domain.dashboards import Dashboard
from app.domain.errors import ConfigurationError
from app.failpoints import FAILPOINT_VARIABLE
from app.live_metrics import LiveMetrics
from app.logs import configure_logs
from app.metrics import BUILD_INFO, RELAY_METRICS
from app.settings import MonitoringSettings, RelaySettings, Settings, load_settings
from app.stop_signals import stop_event

_log = structlog.stdlib.get_logger(__name__)

_PREFIX = "MARKETPLACE_RELAY__"
_LEAST_SECRET_BYTES = 24
_LEAST_TOKEN_CHARACTERS = 32


@click.group(invoke_without_command=True)
@click.pass_context
def relay(context: click.Context) -> None:
    """Send alerts and events to Slack; SIGTERM lets requests in flight end."""
    if context.invoked_subcommand is None:
        settings = load_settings(ignoring=FAILPOINT_VARIABLE)
        check_settings(settings.relay)
        configure_logs(settings.log)
        _run(settings)


relay.add_command(render)


def check_settings(settings: RelaySettings) -> None:
    """Check what only this process needs.

    An Alertmanager is expected where it has a token, and where links to silence an alert are to reach it.

    Raises:
        ConfigurationError: Its text names every variable that is missing or too weak.
    """
    problems = []
    if settings.events_secret is None:
        problems.append(f"{_PREFIX}EVENTS_SECRET: is missing; the pipeline signs its events with it")
    elif len(_decoded(settings.events_secret.get_secret_value())) < _LEAST_SECRET_BYTES:
        problems.append(f"{_PREFIX}EVENTS_SECRET: must be whsec_ and {_LEAST_SECRET_BYTES} bytes or more in base64")
    if settings.alertmanager_token is None:
        if settings.alertmanager_url is not None:
            problems.append(f"{_PREFIX}ALERTMANAGER_TOKEN: is missing; Alertmanager shows it")
    elif len(settings.alertmanager_token.get_secret_value()) < _LEAST_TOKEN_CHARACTERS:
        problems.append(f"{_PREFIX}ALERTMANAGER_TOKEN: must have {_LEAST_TOKEN_CHARACTERS} characters or more")
    if problems:
        raise ConfigurationError("\n".join(problems))


def slack_by(settings: RelaySettings) -> str:
    """Return how messages reach Slack: `bot`, `webhook`, or `log_only`."""
    if settings.slack_bot_token is not None:
        return "bot"
    return "log_only" if settings.slack_webhook_url is None else "webhook"


def dashboards(settings: MonitoringSettings) -> Mapping[str, str]:
    """Return the uid of the dashboard of each alert, by the alert's name."""
    rules = [rule for family in alert_rules(settings, ()).values() for rule in family]
    return {MONITORING_BLIND.name: Dashboard.ALERT_PIPELINE} | {rule.alert.name: rule.dashboard for rule in rules}


def _run(settings: Settings) -> None:
    stop = stop_event()
    metrics = LiveMetrics(metrics=RELAY_METRICS)
    for running in BUILD_INFO.labels["version"]:
        metrics.set(BUILD_INFO, 1, version=running)
    environment, own = settings.monitoring.environment, settings.relay
    store = Store(own.file)
    committer = Committer(store)
    delivery = Delivery(store, own, metrics)
    pace = Pace(own.window_seconds, own.remind_seconds, own.hold_seconds)
    intake = Intake(committer, Decisions(pace, _links(settings)), metrics, on_commit=delivery.wake)
    with store.read() as connection:
        is_blind = is_firing(connection, blind_issue(environment))
    switch = DeadMansSwitch(
        intake.take, metrics, limit_seconds=own.watchdog_seconds, environment=environment, is_blind=is_blind
    )
    expects_alertmanager = own.alertmanager_token is not None
    ticker = Ticker({"tick": intake.tick} | ({"watchdog": switch.look} if expects_alertmanager else {}), metrics)
    parts = (ticker, committer, delivery)
    app = create_app(
        IntakeEdge(
            intake,
            own,
            metrics,
            environment=environment,
            see_watchdog=switch.see,
            problems=lambda: [problem for part in parts for problem in part.problems()],
        )
    )
    if own.alertmanager_url is not None:
        app.register_blueprint(silences(secret=_secret(own), store=store, alertmanager_url=own.alertmanager_url))
    server = IntakeServer(app, own, metrics)
    _log.info(
        "relay_started",
        pid=os.getpid(),
        host=own.host,
        port=own.port,
        slack=slack_by(own),
        expects_alertmanager=expects_alertmanager,
    )
    intake.begin()
    ticker.start()
    delivery.start()
    server.serve(stop)
    ticker.stop()
    delivery.stop()
    committer.stop()
    store.close()
    metrics.close()
    _log.info("relay_stopped")


def _links(settings: Settings) -> LinkMaker:
    own = settings.relay
    silence = {}
    if own.alertmanager_url is not None:
        silence = {"silence_link": silence_links(own.public_url, _secret(own))}
    return LinkMaker(
        web_url=own.web_url,
        runbook_url=settings.monitoring.runbook_url,
        grafana_url=settings.monitoring.grafana_url,
        dashboards=dashboards(settings.monitoring),
        **silence,
    )


def _secret(settings: RelaySettings) -> str:
    assert settings.events_secret is not None  # noqa: S101 -- `check_settings` has seen it
    return settings.events_secret.get_secret_value()


def _decoded(secret: str) -> bytes:
    encoded = secret.removeprefix("whsec_")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
