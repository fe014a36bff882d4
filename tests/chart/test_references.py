"""Whatever an object names exists: in the release, or as something that the values say is there already."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.chart.conditions import hooks, keys, refers_to, texts, workloads
from tests.chart.conftest import PARENT_VALUES
from tests.chart.manifest_files import Object, containers, identity, volumes
from tests.chart.rendering import Rendered, render, values_file

#: Host and port of a service, as addresses and configurations name it.
_ADDRESS = re.compile(r"(?<![\w.-])(demo-marketplace[a-z0-9-]*)(?:\.ops(?:\.svc(?:\.[a-z.]+)?)?)?:(\d+)")
#: Everything that a chart can name without making it.
_NAMED_KINDS = {"ConfigMap", "Secret", "PersistentVolumeClaim", "ServiceAccount"}


@pytest.fixture
def given(case_name: str) -> set[str]:
    """Return every text of the case's values: what the user says is there, is there."""
    if case_name == "sub-chart":
        return set(texts(PARENT_VALUES))
    return set(texts(yaml.safe_load(values_file(case_name).read_text(encoding="utf-8")) or {}))


def _made(rendered: Rendered) -> dict[tuple[str, str], Object]:
    return {(found["kind"], found["metadata"]["name"]): found for found in rendered.all()}


def test_what_pods_refer_to_exists(case: Rendered, given: set[str]) -> None:
    made = _made(case)
    for workload in workloads(case):
        for kind, name, key in refers_to(workload):
            target = made.get((kind, name))
            assert target is not None or name in given, f"{identity(workload)}: {kind} {name}"
            if target is not None and key is not None:
                assert key in keys(target), f"{identity(workload)}: {kind} {name} has no {key}"


def test_mounted_parts_of_a_config_map_exist(case: Rendered) -> None:
    made = _made(case)
    for workload in workloads(case):
        known = volumes(workload)
        for container in containers(workload):
            for mount in container.get("volumeMounts") or ():
                source = (known.get(mount["name"]) or {}).get("configMap")
                if source and mount.get("subPath"):
                    target = made["ConfigMap", source["name"]]
                    paths = {item["path"] for item in source.get("items") or ()} or keys(target)
                    assert mount["subPath"] in paths, f"{identity(workload)}: {mount}"


def test_addresses_lead_to_ports_of_services(case: Rendered) -> None:
    services = {found["metadata"]["name"]: found for found in case.of("Service")}
    for found in case.all():
        for text in texts(found):
            for host, port in _ADDRESS.findall(text):
                assert host in services, f"{identity(found)}: {host}:{port}"
                known = {each["port"] for each in services[host]["spec"]["ports"]}
                # A headless service leads to the pods themselves.
                known |= {each.get("targetPort") for each in services[host]["spec"]["ports"]}
                assert int(port) in known, f"{identity(found)}: {host}:{port}, not {known}"


def test_hooks_before_the_release_need_nothing_of_it(case: Rendered, given: set[str]) -> None:
    made = _made(case)
    for workload in workloads(case):
        if "pre-install" not in hooks(workload):
            continue
        for kind, name, _ in refers_to(workload):
            target = made.get((kind, name))
            is_earlier = target is not None and "pre-install" in hooks(target) and _weight(target) < _weight(workload)
            assert is_earlier or (target is None and name in given), f"{identity(workload)}: {kind} {name}"


def _weight(found: Object) -> int:
    return int((found["metadata"].get("annotations") or {}).get("helm.sh/hook-weight", "0"))


def test_without_hooks_there_are_none() -> None:
    assert [identity(found) for found in render(files=["no-hooks"]).all() if hooks(found)] == []


def test_ingresses_lead_to_ports_of_services(case: Rendered) -> None:
    for ingress in case.of("Ingress"):
        for backend in _backends(ingress):
            service = case.one("Service", backend["name"])
            known = {port.get("name") for port in service["spec"]["ports"]} | {
                port["port"] for port in service["spec"]["ports"]
            }
            assert backend["port"].get("name", backend["port"].get("number")) in known, identity(ingress)


def _backends(ingress: Object) -> Iterator[Object]:
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            yield path["backend"]["service"]


def test_stateful_sets_name_a_service(case: Rendered) -> None:
    for found in case.of("StatefulSet"):
        case.one("Service", found["spec"]["serviceName"])


def test_scaled_objects_name_an_authentication(case: Rendered) -> None:
    for scaled in case.of("ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            if "authenticationRef" in trigger:
                chosen = case.one("TriggerAuthentication", trigger["authenticationRef"]["name"])
                for source in chosen["spec"].get("secretTargetRef") or ():
                    assert source["key"] in keys(case.one("Secret", source["name"])), identity(scaled)


def test_alertmanager_configurations_name_secrets_that_exist(case: Rendered, given: set[str]) -> None:
    made = _made(case)
    for found in case.of("AlertmanagerConfig"):
        for name, key in _selectors(found["spec"]):
            target = made.get(("Secret", name))
            assert target is not None or name in given, f"{identity(found)}: {name}"
            assert target is None or key in keys(target), f"{identity(found)}: {name} has no {key}"


def _selectors(value: object) -> Iterator[tuple[str, str]]:
    """Yield every selector of a secret's key in a structure."""
    if isinstance(value, dict):
        if value.keys() == {"name", "key"}:
            yield value["name"], value["key"]
        for each in value.values():
            yield from _selectors(each)
    elif isinstance(value, list):
        for each in value:
            yield from _selectors(each)


def test_grafana_dashboards_name_config_maps_that_exist(case: Rendered) -> None:
    for found in case.of("GrafanaDashboard"):
        chosen = found["spec"].get("configMapRef")
        if chosen is not None:
            assert chosen["key"] in keys(case.one("ConfigMap", chosen["name"])), identity(found)


def test_no_object_is_left_without_use(case: Rendered) -> None:
    """A ConfigMap, Secret or claim that nobody names is a mistake in a name, or a leftover."""
    named = {(kind, name) for workload in workloads(case) for kind, name, _ in refers_to(workload)}
    others = {text for found in case.all() if found["kind"] not in _NAMED_KINDS for text in texts(found)}
    for found in case.all():
        kind, name = found["kind"], found["metadata"]["name"]
        labels = found["metadata"].get("labels") or {}
        if kind in _NAMED_KINDS and "grafana_dashboard" not in labels and kind != "ServiceAccount":
            assert (kind, name) in named or name in others, identity(found)
