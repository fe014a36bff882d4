"""Parts that several rules look at: who is selected, what is referred to, what a quantity means."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chart.manifest_files import Object, containers, pod_spec, pod_template
from tests.chart.rendering import Rendered

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3}


def workloads(rendered: Rendered) -> list[Object]:
    """Return every object that makes pods: hooks and tests too."""
    return [found for found in rendered.all() if pod_template(found) is not None]


def services_of_pods(rendered: Rendered) -> list[Object]:
    """Return the workloads whose pods go on for ever, which are those that need probes."""
    return [found for found in workloads(rendered) if found["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}]


def pod_labels(workload: Object) -> Mapping[str, str]:
    """Return the labels of a workload's pods."""
    template = pod_template(workload) or {}
    return template["metadata"].get("labels") or {}


def selected(rendered: Rendered, selector: Mapping[str, Any]) -> list[Object]:
    """Return the workloads whose pods a label selector, or the bare map of a Service, means."""
    return [each for each in workloads(rendered) if matches(selector, pod_labels(each))]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector, or the bare map of a Service, means something with these labels.

    >>> matches({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"})
    True
    """
    is_bare = not selector.keys() & {"matchLabels", "matchExpressions"}
    wanted = selector if is_bare else selector.get("matchLabels") or {}
    rules = () if is_bare else selector.get("matchExpressions") or ()
    return wanted.items() <= labels.items() and all(_holds(rule, labels) for rule in rules)


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(rule["key"])
    return {
        "In": value in rule.get("values", ()),
        "NotIn": value not in rule.get("values", ()),
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[rule["operator"]]


def ports(workload: Object) -> dict[str | int, str]:
    """Return the ports of a workload's pods, each by its name and by its number, with the protocol."""
    found: dict[str | int, str] = {}
    for container in containers(workload):
        for port in container.get("ports") or ():
            protocol = port.get("protocol", "TCP")
            found[port["containerPort"]] = protocol
            if "name" in port:
                found[port["name"]] = protocol
    return found


def texts(value: object) -> Iterator[str]:
    """Yield every text in a structure, keys left out."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from texts(each)
        case list() | tuple():
            for each in value:
                yield from texts(each)


def secret_values(rendered: Rendered) -> dict[str, str]:
    """Return what the release's own Secrets hold, by `name/key`."""
    found = {}
    for secret in rendered.of("Secret"):
        name = secret["metadata"]["name"]
        found.update({f"{name}/{key}": value for key, value in (secret.get("stringData") or {}).items()})
        for key, value in (secret.get("data") or {}).items():
            found[f"{name}/{key}"] = base64.b64decode(value, validate=True).decode()
    return found


def quantity(text: str | float) -> float:
    """Return what a quantity of Kubernetes means, in its base unit.

    >>> quantity("100m"), quantity("1Ki"), quantity(2)
    (0.1, 1024.0, 2.0)
    """
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    assert match, f"{text!r} is no quantity"
    return float(match[1]) * _FACTORS[match[2]]


def refers_to(workload: Object) -> Iterator[tuple[str, str, str | None]]:
    """Yield what a workload's pods cannot start without: kind, name, and a key that must be in it or None."""
    spec = pod_spec(workload)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume)
    for container in containers(workload):
        yield from _of_environment(container)
    for secret in spec.get("imagePullSecrets") or ():
        yield "Secret", secret["name"], None
    if spec.get("serviceAccountName", "default") != "default":
        yield "ServiceAccount", spec["serviceAccountName"], None


def _of_environment(container: Object) -> Iterator[tuple[str, str, str | None]]:
    kinds = {
        "configMapRef": "ConfigMap",
        "secretRef": "Secret",
        "configMapKeyRef": "ConfigMap",
        "secretKeyRef": "Secret",
    }
    sources = [*(container.get("envFrom") or ()), *(each.get("valueFrom") or {} for each in container.get("env") or ())]
    for source in sources:
        for field in kinds.keys() & source.keys():
            if not source[field].get("optional"):
                yield kinds[field], source[field]["name"], source[field].get("key")


def _of_volume(volume: Object) -> Iterator[tuple[str, str, str | None]]:
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], None
    for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
        for field, kind, naming in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            chosen = source.get(field)
            if chosen is None or chosen.get("optional"):
                continue
            name = chosen.get(naming) or chosen["name"]  # a projected secret is called `name` too
            yield kind, name, None
            for item in chosen.get("items") or ():
                yield kind, name, item["key"]


def keys(found: Object) -> set[str]:
    """Return the keys of a ConfigMap or Secret."""
    return {key for field in ("data", "binaryData", "stringData") for key in found.get(field) or ()}


def hooks(found: Object) -> set[str]:
    """Return when Helm creates an object, if not with the release: `pre-install`, `test` and so on."""
    text = (found["metadata"].get("annotations") or {}).get("helm.sh/hook", "")
    return {each.strip() for each in text.split(",") if each.strip()}


def size_bytes(found: Object) -> int:
    """Return the size of an object as JSON, as it is stored in the cluster."""
    return len(json.dumps(found, separators=(",", ":")).encode())
