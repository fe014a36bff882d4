"""What the Helm chart mounts for Prometheus, Alertmanager and Grafana: the same documents, with marks for its values.

The chart reads these files raw and puts values where the marks are (`helm/marketplace/templates/_monitoring.tpl`); it
takes away what an installation does not have. See docs/decisions/chart-files.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from alerting.alertmanager import alertmanager_config
from alerting.alertmanager_resource import resource_spec
from app.domain.observers import ALERTMANAGER_JOB, PROMETHEUS_JOB, RELAY_JOB
from app.recorded_series import ERROR_WINDOWS
from app.rule_files import yaml_document
from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.grafana_files import DASHBOARD_FILES
from deploy.artifacts.rule_documents import ALERT_FILE, ALERTMANAGER_FILE, RECORDING_FILE, documents
from monitoring.provisioning import dashboard_providers, datasources
from monitoring.recording_rules import budget_hours
from monitoring.scraping import SCHEDULER_JOB, WEB_JOB, WORKER_JOB, DnsTargets, Targets, prometheus_config

FOLDER = "helm/marketplace/files"

#: Where the chart mounts the two secrets in the pod of Alertmanager.
TOKEN_FILE = Path("/etc/alertmanager-secrets/relay/token")
SECOND_WEBHOOK_FILE = Path("/etc/alertmanager-secrets/second/url")

#: Names of those Secrets and of their keys, for the operator.
_SECRETS = {
    str(TOKEN_FILE): {"name": "@TOKEN_SECRET@", "key": "@TOKEN_KEY@"},
    str(SECOND_WEBHOOK_FILE): {"name": "@SECOND_SECRET@", "key": "@SECOND_KEY@"},
}

_RELAY_URL = "@RELAY_URL@"

#: Ports of the containers.
_WEB_PORT, _WORKER_PORT, _SCHEDULER_PORT, _RELAY_PORT = 8000, 9101, 9102, 8200
_PROMETHEUS, _ALERTMANAGER = "localhost:9090", "@ALERTMANAGER@:9093"

#: Seconds that no rule has for another reason: the mark takes their place.
_MARKED_SECONDS = 13

_HOUR = 3600


def least_retentions() -> tuple[int, ...]:
    """Return the hours of retention from which on there are other rules than below, in rising order.

    >>> least_retentions()
    (2, 4, 12, 48, 144)
    """
    hours = {2 * seconds // _HOUR for seconds in ERROR_WINDOWS.values()}
    return tuple(sorted(hour for hour in hours if hour > 1))


def _marked(retention_hours: int) -> MonitoringSettings:
    # Marks are no valid values, which is why nobody can take one for a value.
    return MonitoringSettings.model_construct(
        retention_hours=retention_hours,
        scrape_seconds=_MARKED_SECONDS,
        environment="@ENVIRONMENT@",
        runbook_url="@RUNBOOK_URL@",
        grafana_url="@GRAFANA_URL@",
        second_webhook_url=None,
        email_to="@EMAIL_TO@",
        email_from="@EMAIL_FROM@",
        email_smarthost="@EMAIL_SMARTHOST@",
        email_tls=True,
    )


def _with_mark(text: str) -> str:
    # Quoted: unlike what takes its place, a mark could not stand alone in YAML.
    return text.replace(f" {_MARKED_SECONDS}s\n", " '@SCRAPE_SECONDS@s'\n")


def rule_text(name: str, retention_hours: int) -> str:
    """Return a rule file with marks; the window of the budget has one too, for it differs with each hour."""
    settings = _marked(retention_hours)
    text = documents(settings)[name]
    return _with_mark(text).replace(f"[{budget_hours(settings)}h]", "[@BUDGET_HOURS@h]")


def _alertmanager() -> str:
    return yaml_document(_marked_alertmanager())


def _alertmanager_resource() -> str:
    return yaml_document(resource_spec(_marked_alertmanager(), _SECRETS))


def _marked_alertmanager() -> Mapping[str, object]:
    settings = _marked(retention_hours=24)
    return alertmanager_config(_RELAY_URL, TOKEN_FILE, settings, second_webhook_file=SECOND_WEBHOOK_FILE)


def _prometheus() -> str:
    config = prometheus_config(
        _marked(retention_hours=24),
        (
            DnsTargets(WEB_JOB, ("@WEB_METRICS@",), _WEB_PORT),
            DnsTargets(WORKER_JOB, ("@WORKER_METRICS@", "@QUARANTINE_METRICS@"), _WORKER_PORT),
            DnsTargets(SCHEDULER_JOB, ("@SCHEDULER_METRICS@",), _SCHEDULER_PORT),
            DnsTargets(RELAY_JOB, ("@RELAY_METRICS@",), _RELAY_PORT),
            Targets(PROMETHEUS_JOB, (_PROMETHEUS,)),
            Targets(ALERTMANAGER_JOB, (_ALERTMANAGER,)),
        ),
        rules=[RECORDING_FILE, ALERT_FILE],
        alertmanagers=[_ALERTMANAGER],
    )
    return _with_mark(yaml_document(config))


def _datasources() -> str:
    return _with_mark(datasources(_marked(retention_hours=24)))


def _rule_files(retentions: Iterable[int]) -> Mapping[str, Callable[[], str]]:
    return {
        f"{FOLDER}/rules/from-{hours}h/{name}": partial(rule_text, name, hours)
        for hours in retentions
        for name in (RECORDING_FILE, ALERT_FILE)
    }


CHART_FILES: Mapping[str, Callable[[], str]] = {
    **_rule_files(least_retentions()),
    f"{FOLDER}/prometheus/prometheus.yml": _prometheus,
    f"{FOLDER}/alertmanager/{ALERTMANAGER_FILE}": _alertmanager,
    f"{FOLDER}/alertmanager/resource-spec.yml": _alertmanager_resource,
    f"{FOLDER}/grafana/datasources.yaml": _datasources,
    f"{FOLDER}/grafana/dashboards.yaml": dashboard_providers,
    **{f"{FOLDER}/dashboards/{name}": text for name, text in DASHBOARD_FILES.items()},
}
