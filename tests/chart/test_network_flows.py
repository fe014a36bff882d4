"""The NetworkPolicies: nothing is let through but what is named, and each flow at both of its ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.chart.manifest_files import Object, containers, pod_spec, pod_template
from tests.chart.rendering import Rendered, refused, render

_PREFIX = "demo-marketplace-"
_DEMO = {"demo": {"enabled": True}}
_EXTERNAL = {
    "valkey": {"enabled": False},
    "externalRedis": {"host": "redis.example.com", "port": 6380},
    "postgresql": {"enabled": False},
    "externalDatabase": {"host": "db.example.com", "port": 6432},
}
_JOBS = ("web", "worker", "quarantine", "scheduler")
_ANYWHERE = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
]


def _policy(part: str, values: Mapping[str, Any] | None = None) -> Object:
    found: Object = render(values).one("NetworkPolicy", _PREFIX + part)["spec"]
    return found


def _ports(rule: Object) -> list[int]:
    return [port["port"] for port in rule["ports"]]


def _named(peers: Iterable[Object]) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in peers if "podSelector" in peer
    }


def _flows(rendered: Rendered, direction: str, end: str) -> set[tuple[str, str, int]]:
    """Return (policy's part, other part, port) of every rule that names pods of the release."""
    return {
        (policy["metadata"]["name"].removeprefix(_PREFIX), other, port)
        for policy in rendered.of("NetworkPolicy")
        for rule in policy["spec"].get(direction) or ()
        for other in _named(rule.get(end) or ())
        for port in _ports(rule)
    }


def _beyond(part: str, values: Mapping[str, Any] | None = None) -> list[Object]:
    """Return the rules of egress that name neither pods of the release nor the name service."""
    return [rule for rule in _policy(part, values)["egress"] if not _named(rule["to"]) and _ports(rule) != [53, 53]]


def _from_namespace(part: str, values: Mapping[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for rule in _policy(part, values)["ingress"]:
        for peer in rule.get("from") or ():
            if "namespaceSelector" in peer:
                name = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
                found.setdefault(name, []).extend(_ports(rule))
    return found


def test_every_pod_of_the_release_is_denied_everything_first() -> None:
    policy = _policy("default-deny")
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert "egress" not in policy
    selected = policy["podSelector"]["matchLabels"]
    assert selected == {"app.kubernetes.io/name": "marketplace", "app.kubernetes.io/instance": "demo"}
    pods = [pod_template(found) for found in render(_DEMO).all() if containers(found)]
    assert len(pods) >= 10
    for pod in pods:
        assert pod
        assert selected.items() <= pod["metadata"]["labels"].items()


def test_every_pod_has_a_policy_of_its_own_and_every_policy_pods() -> None:
    rendered = render(_DEMO)
    parts = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for pod in map(pod_template, rendered.all())
        if pod is not None
    }
    policies = {name.removeprefix(_PREFIX) for name in rendered.names("NetworkPolicy")} - {"default-deny"}
    assert parts == policies


@pytest.mark.parametrize("values", [None, _DEMO, _EXTERNAL], ids=["default", "demo", "external"])
def test_what_may_leave_one_part_may_enter_the_other(values: Mapping[str, Any] | None) -> None:
    rendered = render(values)
    leaving = {(start, end, port) for start, end, port in _flows(rendered, "egress", "to")}
    entering = {(start, end, port) for end, start, port in _flows(rendered, "ingress", "from")}
    assert leaving == entering


def test_the_flows_within_the_release() -> None:
    assert _flows(render(_DEMO), "egress", "to") == {
        *((part, "valkey", 6379) for part in _JOBS),
        *((part, "postgresql", 5432) for part in _JOBS),
        *((part, "demo-agents", 8100) for part in _JOBS),
        ("migrations", "postgresql", 5432),
        ("scheduler", "relay", 8200),
        ("relay", "demo-slack", 8201),
        ("relay", "alertmanager", 9093),
        ("prometheus", "web", 8000),
        ("prometheus", "worker", 9101),
        ("prometheus", "quarantine", 9101),
        ("prometheus", "scheduler", 9102),
        ("prometheus", "relay", 8200),
        ("prometheus", "alertmanager", 9093),
        ("alertmanager", "relay", 8200),
        ("grafana", "prometheus", 9090),
        ("test", "web", 8000),
        ("test", "worker", 9101),
        ("test", "scheduler", 9102),
    }


def test_the_ports_of_the_flows_are_those_of_the_containers() -> None:
    rendered = render(_DEMO)
    listening = {
        (pod_template(found)["metadata"]["labels"]["app.kubernetes.io/component"], port["containerPort"])  # type: ignore[index]
        for found in rendered.all()
        for each in containers(found)
        for port in each.get("ports") or ()
    }
    assert {(end, port) for _, end, port in _flows(rendered, "egress", "to")} <= listening


def test_the_pod_of_helm_test_may_ask_whom_it_asks() -> None:
    rendered = render()
    arguments = containers(rendered.one("Pod", "demo-marketplace-test"))[0]["args"]
    asked = re.findall(r"--metrics=http://demo-marketplace-(\w+)-metrics\.ops\.svc:(\d+)/", " ".join(arguments))
    allowed = {(end, str(port)) for start, end, port in _flows(rendered, "egress", "to") if start == "test"}
    assert len(asked) == 3
    assert set(asked) == allowed


@pytest.mark.parametrize("part", [*_JOBS, "relay", "migrations", "test", "prometheus", "alertmanager", "grafana"])
def test_who_connects_may_ask_the_name_service_of_the_cluster(part: str) -> None:
    rule = _policy(part)["egress"][0]
    assert [(port["port"], port["protocol"]) for port in rule["ports"]] == [(53, "UDP"), (53, "TCP")]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}} in rule["to"]


@pytest.mark.parametrize("part", ["valkey", "postgresql", "demo-agents", "demo-slack"])
def test_a_server_that_calls_nobody_may_call_nobody(part: str) -> None:
    policy = _policy(part, _DEMO)
    assert policy["egress"] == []
    assert "Egress" in policy["policyTypes"]


def test_the_name_service_of_another_cluster_can_be_named() -> None:
    to = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}]
    rule = _policy("worker", {"networkPolicy": {"dns": {"to": to, "ports": [5353]}}})["egress"][0]
    assert rule["to"] == to
    assert _ports(rule) == [5353, 5353]


def test_agents_are_called_on_their_ports_anywhere_but_where_clouds_tell_credentials() -> None:
    items = [
        {"name": "a", "channel": "a", "url": "http://llm.models.svc:8080/v1", "model": "m"},
        {"name": "b", "channel": "b", "url": "https://llm.example.com/v1", "model": "m"},
        {"name": "c", "channel": "c", "url": "http://plain.example.com/v1", "model": "m"},
    ]
    values = {"agents": {"items": items}}
    for part in ("web", "worker", "quarantine"):
        (rule,) = _beyond(part, values)
        assert rule["to"] == _ANYWHERE
        assert sorted(_ports(rule)) == [80, 443, 8080]


def test_the_networks_of_agents_can_be_narrowed() -> None:
    pods = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "models"}}}]
    policy = {"networkPolicy": {"agentsEgress": {"cidrs": ["10.1.0.0/16"], "ports": [8443], "to": pods}}}
    (rule,) = _beyond("worker", policy)
    assert rule["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}, *pods]
    assert _ports(rule) == [8443]
    assert _beyond("worker", {"networkPolicy": {"agentsEgress": {"cidrs": []}}}) == []


def test_only_the_scheduler_calls_subscribers_and_only_the_relay_slack() -> None:
    webhooks = {"networkPolicy": {"webhooksEgress": {"cidrs": ["10.2.0.0/16"], "ports": [9443]}}}
    assert [_ports(rule) for rule in _beyond("scheduler", webhooks)] == [[443], [9443]]
    assert all(_ports(rule) == [443] for rule in _beyond("worker", webhooks))
    slack = {"networkPolicy": {"notificationsEgress": {"cidrs": ["10.3.0.0/16"], "ports": [8443]}}}
    assert _beyond("relay", slack) == [
        {"to": [{"ipBlock": {"cidr": "10.3.0.0/16"}}], "ports": [{"port": 8443, "protocol": "TCP"}]}
    ]


def test_alertmanager_leaves_the_release_only_where_it_tells_others_too() -> None:
    assert _beyond("alertmanager") == []
    hook = {"alertmanager": {"secondWebhook": {"existingSecret": "pager"}}}
    assert [_ports(rule) for rule in _beyond("alertmanager", hook)] == [[443]]
    mail = {"alertmanager": {"email": {"to": "a@example.com", "from": "b@example.com", "smarthost": "mail:587"}}}
    assert [_ports(rule) for rule in _beyond("alertmanager", mail)] == [[587]]


@pytest.mark.parametrize("part", [*_JOBS, "migrations"])
def test_external_stores_are_reached_on_their_ports(part: str) -> None:
    ports = [_ports(rule) for rule in _beyond(part, _EXTERNAL)]
    assert [6432] in ports
    assert ([6380] in ports) == (part != "migrations")


def test_the_networks_of_external_stores_can_be_narrowed() -> None:
    values = {**_EXTERNAL, "networkPolicy": {"storesEgress": {"cidrs": ["10.4.0.0/24"]}}}
    (rule,) = [rule for rule in _beyond("web", values) if _ports(rule) == [6432]]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.4.0.0/24"}}]


def test_nobody_from_outside_reaches_the_web_process_unless_it_is_published() -> None:
    def open_rules(values: Mapping[str, Any] | None = None) -> list[Object]:
        return [rule for rule in _policy("web", values)["ingress"] if "from" not in rule]

    assert open_rules() == []
    for published in (
        {"web": {"ingress": {"enabled": True, "hosts": ["jobs.example.com"]}}},
        {"web": {"service": {"type": "LoadBalancer"}}},
    ):
        assert [_ports(rule) for rule in open_rules(published)] == [[8000]]


def test_clients_can_be_named() -> None:
    nginx = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
    values = {
        "web": {"ingress": {"enabled": True, "hosts": ["jobs.example.com"]}},
        "networkPolicy": {"ingressFrom": nginx},
    }
    for part, port in (("web", 8000), ("relay", 8200), ("grafana", 3000)):
        rules = _policy(part, values)["ingress"]
        assert {"from": nginx, "ports": [{"port": port, "protocol": "TCP"}]} in rules
        assert all(rule.get("from") for rule in rules)


@pytest.mark.parametrize(
    "values",
    [
        {"monitoring": {"operator": {"enabled": True}}},
        {"prometheus": {"enabled": False}, "grafana": {"enabled": False}},
    ],
    ids=["operator", "no Prometheus"],
)
def test_a_prometheus_elsewhere_scrapes_from_its_namespace(values: Mapping[str, Any]) -> None:
    for part, port in (("web", 8000), ("worker", 9101), ("quarantine", 9101), ("scheduler", 9102), ("relay", 8200)):
        assert _from_namespace(part, values) == {"monitoring": [port]}
    assert _from_namespace("valkey", values) == {}


def test_an_alertmanager_elsewhere_reaches_the_relay_beside_a_prometheus_of_the_release() -> None:
    elsewhere = {
        "alertmanager": {"enabled": False},
        "externalAlertmanager": {"url": "http://alertmanager.monitoring.svc:9093"},
    }
    assert _from_namespace("relay", elsewhere) == {"monitoring": [8200]}
    assert _from_namespace("web", elsewhere) == {}
    assert _from_namespace("relay", {"alertmanager": {"enabled": False}}) == {}


def test_the_namespace_of_monitoring_is_let_in_only_when_it_is_used() -> None:
    assert all(_from_namespace(part, {}) == {} for part in ("web", "worker", "scheduler", "relay", "prometheus"))
    elsewhere = {
        "networkPolicy": {"monitoringNamespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "o11y"}}}
    }
    assert _from_namespace("web", {"monitoring": {"operator": {"enabled": True}}, **elsewhere}) == {"o11y": [8000]}


def test_servers_of_monitoring_elsewhere_are_reached_on_the_ports_of_their_addresses() -> None:
    values = {
        "prometheus": {"enabled": False},
        "externalPrometheus": {"url": "http://prometheus.monitoring.svc:9099"},
        "alertmanager": {"enabled": False},
        "externalAlertmanager": {"url": "https://alerts.example.com"},
    }
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert {"to": [selector], "ports": [{"port": 9099, "protocol": "TCP"}]} in _beyond("grafana", values)
    assert {"to": [selector], "ports": [{"port": 443, "protocol": "TCP"}]} in _beyond("relay", values)


@pytest.mark.parametrize(("trigger", "part", "port"), [("prometheus", "prometheus", 9090), ("redis", "valkey", 6379)])
def test_keda_is_let_in_where_it_asks(trigger: str, part: str, port: int) -> None:
    values = {"worker": {"keda": {"enabled": True, "trigger": trigger}}}
    assert _from_namespace(part, values) == {"keda": [port]}
    assert _from_namespace(part, {}) == {}


def test_rules_can_be_added_to_a_part_and_not_to_one_that_is_off() -> None:
    rule = {"from": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}
    values = {"networkPolicy": {"extraIngress": {"postgresql": [rule]}}}
    assert rule in _policy("postgresql", values)["ingress"]
    assert "networkPolicy.extraIngress.postgresql" in refused({**_EXTERNAL, **values})
    assert "extraEgress" in refused({"networkPolicy": {"extraEgress": {"wbe": [rule]}}})


def test_the_policies_can_be_left_out() -> None:
    assert render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy") == ()


def test_pods_of_the_release_use_the_network_of_no_node() -> None:
    # A pod on the network of its node is bound by no policy.
    assert not any(pod_spec(found).get("hostNetwork") for found in render(_DEMO).all())
