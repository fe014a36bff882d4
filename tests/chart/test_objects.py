"""Rules that every object of every case keeps, beside pods."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chart.conditions import (
    matches,
    pod_labels,
    ports,
    secret_values,
    selected,
    services_of_pods,
    size_bytes,
    texts,
    workloads,
)
from tests.chart.conftest import CASES
from tests.chart.manifest_files import Object, identity, pod_template
from tests.chart.rendering import Rendered

_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
#: Change with every release: in a selector they would make an upgrade impossible.
_CHANGING = {"helm.sh/chart", "app.kubernetes.io/version"}
_WANTED = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
#: The name of a release may have 53 characters.
_LONG = "a-release-with-the-longest-name-that-helm-will-accept"
#: etcd takes 1.5 MiB in one request; the limit of a ConfigMap or Secret is 1 MiB. Source:
#: https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
_LARGEST_BYTES = 1024 * 1024


def own(rendered: Rendered) -> list[Object]:
    """Return what the chart itself makes: not the further objects of its user."""
    return [found for found in rendered.all() if "company-" not in found["metadata"]["name"]]


def test_names_are_valid(case: Rendered) -> None:
    for found in case.all():
        name = found["metadata"]["name"]
        assert len(name) <= 63, identity(found)
        assert _NAME.fullmatch(name), identity(found)


@pytest.mark.parametrize("name", CASES)
def test_names_are_valid_with_the_longest_release_name(name: str, render_case: Callable[..., Rendered]) -> None:
    rendered = render_case(name, release=_LONG)
    assert len(rendered.all()) == len(render_case(name).all())
    test_names_are_valid(rendered)
    test_labels_are_valid(rendered)
    for found in rendered.of("StatefulSet"):
        # Its pods carry a label of its name, a dash and a hash of ten characters.
        assert len(found["metadata"]["name"]) <= 52, identity(found)


def test_labels_are_valid(case: Rendered) -> None:
    for found in case.all():
        for labels in _all_labels(found):
            for key, value in labels.items():
                assert _LABEL_KEY.fullmatch(key), f"{identity(found)}: {key}"
                assert _LABEL_VALUE.fullmatch(value), f"{identity(found)}: {key}={value}"


def _all_labels(found: Object) -> Iterator[dict[str, str]]:
    yield found["metadata"].get("labels") or {}
    yield (pod_template(found) or {"metadata": {}})["metadata"].get("labels") or {}


def test_every_object_has_the_usual_labels(case: Rendered) -> None:
    for found in own(case):
        missing = _WANTED - (found["metadata"].get("labels") or {}).keys()
        assert not missing, f"{identity(found)}: {missing}"


def test_no_namespace_is_written_down(case_name: str, render_case: Callable[..., Rendered]) -> None:
    for found in render_case(case_name, namespace="elsewhere").all():
        assert found["metadata"].get("namespace", "elsewhere") == "elsewhere", identity(found)
        assert not [text for text in texts(found) if re.search(r"\.ops\b", text)], identity(found)


def test_selectors_hold_nothing_that_an_upgrade_changes(case: Rendered) -> None:
    for workload in services_of_pods(case):
        labels = workload["spec"]["selector"]["matchLabels"]
        assert not _CHANGING & labels.keys(), identity(workload)
    for service in case.of("Service"):
        assert not _CHANGING & service["spec"]["selector"].keys(), identity(service)


def test_every_selector_means_its_own_pods_only(case: Rendered) -> None:
    for workload in services_of_pods(case):
        assert selected(case, workload["spec"]["selector"]) == [workload], identity(workload)


def test_every_service_leads_to_ports_of_one_workload(case: Rendered) -> None:
    for service in case.of("Service"):
        found = selected(case, service["spec"]["selector"])
        assert len(found) == 1, f"{identity(service)}: {[identity(each) for each in found]}"
        names = [port.get("name") for port in service["spec"]["ports"]]
        assert len(set(names)) == len(names)
        assert None not in names or len(names) == 1, f"{identity(service)}: a port without a name"
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            assert ports(found[0]).get(target) == port.get("protocol", "TCP"), f"{identity(service)}: {port}"


def test_every_workload_of_the_chart_is_reached_by_its_policies(case_name: str, case: Rendered) -> None:
    policies = case.of("NetworkPolicy")
    if case_name == "minimal":
        assert policies == ()
        return
    for workload in workloads(case):
        sides = {
            side
            for policy in policies
            if workload in selected(case, policy["spec"]["podSelector"])
            for side in policy["spec"]["policyTypes"]
        }
        assert sides == {"Ingress", "Egress"}, f"{identity(workload)}: {sides}"


def test_network_policies_mean_pods_and_ports_that_exist(case: Rendered) -> None:
    for policy in case.of("NetworkPolicy"):
        spec = policy["spec"]
        meant = selected(case, spec["podSelector"])
        assert meant, identity(policy)
        for rule in spec.get("ingress") or ():
            _check_peers(case, policy, rule.get("from") or ())
            known = {port for workload in meant for port in ports(workload)}
            for port in rule.get("ports") or ():
                assert port["port"] in known, f"{identity(policy)}: {port}"
        for rule in spec.get("egress") or ():
            peers = _check_peers(case, policy, rule.get("to") or ())
            known = {port for workload in peers for port in ports(workload)}
            for port in (rule.get("ports") or ()) if peers else ():
                assert port["port"] in known, f"{identity(policy)}: {port}"


def _check_peers(rendered: Rendered, policy: Object, peers: Any) -> list[Object]:  # noqa: ANN401 - as it stands
    """Return the workloads that peers in the same namespace mean."""
    found = []
    for peer in peers:
        if "ipBlock" in peer:
            network = ipaddress.ip_network(peer["ipBlock"]["cidr"])
            assert all(ipaddress.ip_network(each).subnet_of(network) for each in peer["ipBlock"].get("except") or ())  # type: ignore[arg-type]
        elif "namespaceSelector" not in peer:
            meant = selected(rendered, peer["podSelector"])
            assert meant, f"{identity(policy)}: {peer}"
            found += meant
    return found


def test_disruption_budgets_mean_one_workload(case: Rendered) -> None:
    for budget in case.of("PodDisruptionBudget"):
        spec = budget["spec"]
        [workload] = selected(case, spec["selector"])
        assert ("minAvailable" in spec) != ("maxUnavailable" in spec)
        assert workload["spec"].get("replicas", 2) > 1, f"{identity(budget)}: a drain would wait for ever"


def test_who_is_scaled_has_no_number_of_replicas(case_name: str, case: Rendered) -> None:
    scaled = []
    for scaler in case.of("HorizontalPodAutoscaler") + case.of("ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        workload = case.one(target.get("kind", "Deployment"), target["name"])
        assert "replicas" not in workload["spec"], identity(workload)
        scaled.append(identity(workload))
    assert len(scaled) == len(set(scaled))
    assert len(scaled) == (2 if case_name == "keda" else 0)
    for workload in case.of("Deployment") + case.of("StatefulSet"):
        assert identity(workload) in scaled or "replicas" in workload["spec"], identity(workload)


def test_no_value_of_a_secret_is_shown_elsewhere(case: Rendered) -> None:
    secrets = {name: value for name, value in secret_values(case).items() if len(value) >= 12}
    for found in case.all():
        if found["kind"] != "Secret":
            shown = [name for name, value in secrets.items() for text in texts(found) if value in text]
            assert not shown, f"{identity(found)} shows {shown}"


def test_no_config_map_holds_a_password(case: Rendered) -> None:
    for found in case.of("ConfigMap"):
        for key, text in (found.get("data") or {}).items():
            if not key.endswith(".json"):
                assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", text), f"{identity(found)}: {key}"
            assert not re.search(r"(?i)^(password|token|secret)$", key), f"{identity(found)}: {key}"


def test_objects_are_small_enough_for_the_cluster(case: Rendered) -> None:
    for found in case.all():
        assert size_bytes(found) < _LARGEST_BYTES, f"{identity(found)}: {size_bytes(found)} bytes"


def test_no_custom_resource_definition_is_shipped(case: Rendered) -> None:
    assert case.of("CustomResourceDefinition") == ()


def test_custom_resources_come_only_where_they_are_asked_for(case_name: str, case: Rendered) -> None:
    custom = {found["kind"] for found in case.all() if re.search(r"coreos|keda|integreatly", found["apiVersion"])}
    expected = {
        "keda": {"ScaledObject", "TriggerAuthentication"},
        "operator": {"ServiceMonitor", "PodMonitor", "PrometheusRule", "AlertmanagerConfig", "GrafanaDashboard"},
    }
    assert custom == expected.get(case_name, set())


def test_every_pod_of_the_product_is_scraped_once_by_the_operator(render_case: Callable[..., Rendered]) -> None:
    # Two monitors for one pod count everything double, and a port that is not there is no target, without an error.
    rendered = render_case("operator")
    scraped = [identity(each) for monitor in rendered.of("PodMonitor") for each in _by_pods(rendered, monitor)]
    scraped += [identity(each) for monitor in rendered.of("ServiceMonitor") for each in _by_services(rendered, monitor)]
    roles = ("quarantine", "relay", "scheduler", "web", "worker")
    assert sorted(scraped) == [f"Deployment ops/demo-marketplace-{role}" for role in roles]


def _by_pods(rendered: Rendered, monitor: Object) -> list[Object]:
    """Return the workloads that a PodMonitor scrapes, once for each of its endpoints that they have."""
    endpoints = monitor["spec"]["podMetricsEndpoints"]
    found = selected(rendered, monitor["spec"]["selector"])
    return [each for each in found for endpoint in endpoints if endpoint["port"] in ports(each)]


def _by_services(rendered: Rendered, monitor: Object) -> list[Object]:
    """Return the workloads that a ServiceMonitor scrapes, once for each service and port."""
    return [
        workload
        for service in rendered.of("Service")
        if matches(monitor["spec"]["selector"], service["metadata"]["labels"])
        for endpoint in monitor["spec"]["endpoints"]
        if endpoint["port"] in {port.get("name") for port in service["spec"]["ports"]}
        for workload in selected(rendered, service["spec"]["selector"])
    ]


def test_pods_and_their_workload_agree(case: Rendered) -> None:
    for workload in services_of_pods(case):
        assert workload["spec"]["selector"]["matchLabels"].items() <= pod_labels(workload).items(), identity(workload)
