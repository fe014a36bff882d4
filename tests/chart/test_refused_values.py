"""Wrong values are refused by both major versions of Helm, with a message that names the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.tools.places import Major
from tests.chart.helm_cli import MAJORS
from tests.chart.rendering import refused, render

Values = Mapping[str, Any]

#: Values that one key alone makes wrong: the schema refuses them. Name, values, and what the message must hold.
WRONG_KEYS: list[tuple[str, Values, tuple[str, ...]]] = [
    ("an-unknown-key", {"replicaCount": 3}, ("replicaCount",)),
    ("an-unknown-key-of-a-role", {"web": {"replicaCount": 3}}, ("web", "replicaCount")),
    ("an-unknown-key-deep-down", {"relay": {"slack": {"webhookUrl": "https://x"}}}, ("relay.slack", "webhookUrl")),
    ("replicas-as-text", {"web": {"replicas": "3"}}, ("web.replicas",)),
    ("replicas-below-zero", {"worker": {"replicas": -1}}, ("worker.replicas",)),
    ("half-a-replica", {"scheduler": {"replicas": 1.5}}, ("scheduler.replicas",)),
    ("a-switch-as-text", {"valkey": {"enabled": "yes"}}, ("valkey.enabled",)),
    ("a-port-too-high", {"externalRedis": {"port": 65536}}, ("externalRedis.port",)),
    ("a-port-as-text", {"externalDatabase": {"port": "5432"}}, ("externalDatabase.port",)),
    ("a-host-with-a-port", {"externalRedis": {"host": "redis.example.com:6379"}}, ("externalRedis.host",)),
    ("a-host-with-a-scheme", {"externalDatabase": {"host": "postgresql://db"}}, ("externalDatabase.host",)),
    (
        "a-mode-that-does-not-exist",
        {"externalDatabase": {"tls": {"mode": "verify-ca"}}},
        ("externalDatabase.tls.mode",),
    ),
    ("a-digest-without-sha256", {"image": {"digest": "0123abcd"}}, ("image.digest",)),
    ("a-tag-with-a-space", {"image": {"tag": "1.0 beta"}}, ("image.tag",)),
    ("a-policy-that-does-not-exist", {"image": {"pullPolicy": "Sometimes"}}, ("image.pullPolicy",)),
    ("an-environment-in-capitals", {"environment": "Production"}, ("environment",)),
    ("a-setting-of-somebody-else", {"settings": {"DATABASE_URL": "x"}}, ("DATABASE_URL",)),
    ("a-setting-with-a-list", {"settings": {"MARKETPLACE_A__B": [1]}}, ("settings.MARKETPLACE_A__B",)),
    ("an-agent-without-an-address", {"agents": {"items": [{"name": "a", "channel": "b"}]}}, ("agents.items.0", "url")),
    ("an-address-without-a-scheme", {"urls": {"grafana": "grafana.example.com"}}, ("urls.grafana",)),
    ("a-secret-with-capitals", {"auth": {"existingSecret": "My_Secret"}}, ("auth.existingSecret",)),
    ("a-size-without-sense", {"postgresql": {"persistence": {"size": "lots"}}}, ("postgresql.persistence.size",)),
    ("memory-in-the-wrong-unit", {"valkey": {"maxMemory": "1Gi"}}, ("valkey.maxMemory",)),
    ("a-trigger-that-does-not-exist", {"worker": {"keda": {"trigger": "cron"}}}, ("worker.keda.trigger",)),
    ("a-disruption-of-more-than-all", {"web": {"pdb": {"maxUnavailable": "half"}}}, ("web.pdb.maxUnavailable",)),
    ("a-mention-of-a-name", {"relay": {"mentions": ["@anna"]}}, ("relay.mentions.0",)),
    ("a-label-that-is-no-text", {"commonLabels": {"tier": 1}}, ("commonLabels.tier",)),
    ("a-variable-without-a-name", {"extraEnv": [{"value": "x"}]}, ("extraEnv.0", "name")),
    ("a-service-of-no-type", {"web": {"service": {"type": "External"}}}, ("web.service.type",)),
    ("an-unknown-probe", {"worker": {"probes": {"health": {}}}}, ("worker.probes", "health")),
    ("no-time-to-stop", {"worker": {"terminationGracePeriodSeconds": 0}}, ("worker.terminationGracePeriodSeconds",)),
    ("a-network-without-a-mask", {"networkPolicy": {"agentsEgress": {"cidrs": ["10.0.0.1"]}}}, ("cidrs.0",)),
]

_NO_SERVERS = {"valkey": {"enabled": False}, "postgresql": {"enabled": False}}

#: Values that cannot work together: the chart itself refuses them.
WRONG_TOGETHER: list[tuple[str, Values, tuple[str, ...]]] = [
    ("no-redis", {"valkey": {"enabled": False}}, ("valkey.enabled", "externalRedis.host")),
    ("no-database", {"postgresql": {"enabled": False}}, ("postgresql.enabled", "externalDatabase.host")),
    ("two-redis", {"externalRedis": {"host": "redis.example.com"}}, ("externalRedis.host", "valkey.enabled")),
    (
        "two-databases",
        {"externalDatabase": {"host": "db.example.com"}},
        ("externalDatabase.host", "postgresql.enabled"),
    ),
    (
        "two-autoscalers",
        {"worker": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}},
        ("worker.autoscaling.enabled", "worker.keda.enabled"),
    ),
    (
        "fewest-above-most",
        {"web": {"autoscaling": {"enabled": True, "minReplicas": 9}}},
        ("web.autoscaling.minReplicas",),
    ),
    ("two-relays", {"relay": {"replicas": 2}}, ("relay.replicas",)),
    ("an-ingress-without-a-host", {"web": {"ingress": {"enabled": True}}}, ("web.ingress.hosts",)),
    (
        "killed-before-it-stops",
        {"worker": {"terminationGracePeriodSeconds": 5}},
        ("worker.terminationGracePeriodSeconds",),
    ),
    (
        "a-secret-among-the-settings",
        {"settings": {"MARKETPLACE_REDIS__PASSWORD": "x"}},
        ("MARKETPLACE_REDIS__PASSWORD",),
    ),
    (
        "a-key-of-an-agent",
        {"agents": {"items": [{"name": "a", "channel": "b", "url": "https://x", "api_key": "k"}]}},
        ("agents.items[0].api_key", "agents.existingSecret"),
    ),
    (
        "an-authority-without-tls",
        {**_NO_SERVERS, "externalRedis": {"host": "r", "tls": {"caSecret": "ca"}}, "externalDatabase": {"host": "d"}},
        ("externalRedis.tls.caSecret", "externalRedis.tls.enabled"),
    ),
    (
        "a-bot-without-a-channel",
        {"relay": {"slack": {"existingSecret": "s", "botTokenKey": "t"}}},
        ("relay.slack.channel",),
    ),
    ("dashboards-without-data", {"prometheus": {"enabled": False}}, ("grafana.enabled", "externalPrometheus.url")),
    (
        "keda-without-prometheus",
        {"prometheus": {"enabled": False}, "grafana": {"enabled": False}, "worker": {"keda": {"enabled": True}}},
        ("worker.keda.trigger", "externalPrometheus.url"),
    ),
]


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    ("values", "named"),
    [pytest.param(values, named, id=name) for name, values, named in [*WRONG_KEYS, *WRONG_TOGETHER]],
)
def test_wrong_values_are_refused_by_name(values: Values, named: tuple[str, ...], major: Major) -> None:
    message = refused(values, helm=major)
    missing = [key for key in named if not _names(message, key)]
    assert not missing, f"{missing} is not in: {message}"


@pytest.mark.parametrize("major", MAJORS)
def test_all_that_is_wrong_is_told_at_once(major: Major) -> None:
    message = refused({"relay": {"replicas": 2}, **_NO_SERVERS}, helm=major)
    assert all(key in message for key in ("relay.replicas", "valkey.enabled", "postgresql.enabled"))


@pytest.mark.parametrize("major", MAJORS)
def test_a_secret_is_not_repeated_in_a_message(major: Major) -> None:
    message = refused({"settings": {"MARKETPLACE_REDIS__PASSWORD": "k8Zq-hunter2"}}, helm=major)
    assert "hunter2" not in message


@pytest.mark.parametrize("major", MAJORS)
def test_values_of_other_charts_may_be_global(major: Major) -> None:
    assert render({"global": {"other": {"deep": 1}}, "enabled": True}, helm=major).of("Deployment")


def _names(message: str, key: str) -> bool:
    """Return whether a message names a key, as Helm 3 (`web.replicas`) or as Helm 4 (`/web/replicas`) writes it."""
    plain = re.sub(r"(?<=[\w'])/|/(?=\w)", ".", message)
    return re.search(rf"(?<![\w]){re.escape(key)}(?!\w)", plain) is not None
