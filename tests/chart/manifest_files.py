"""Reads what Helm has rendered, more strictly than Helm: a key may stand once only, and so may an object's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

#: One Kubernetes object as it would be sent to the API server.
Object = dict[str, Any]


class _StrictLoader(yaml.CSafeLoader):
    """Refuses a mapping that names a key twice: YAML's own rule, which PyYAML and Helm's parser do not keep."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as the method that it replaces
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = sorted(name for name, times in names.items() if times > 1)
        if twice:
            raise AssertionError(f"a mapping names these keys twice: {twice}, near{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def parsed(text: str) -> tuple[Object, ...]:
    """Return the objects of a stream of documents, empty documents left out.

    Raises:
        AssertionError: If a key, an object or an environment variable of a container stands twice, or if a document is
            no Kubernetes object.
    """
    objects = tuple(found for found in yaml.load_all(text, Loader=_StrictLoader) if found is not None)
    for found in objects:
        assert {"apiVersion", "kind", "metadata"} <= found.keys(), f"no Kubernetes object: {str(found)[:200]}"
        _refuse_doubled_variables(found)
    names = Counter(identity(found) for found in objects)
    twice = sorted(name for name, times in names.items() if times > 1)
    assert not twice, f"these objects are rendered twice: {twice}"
    return objects


def identity(found: Object) -> str:
    """Return what no two objects of a release may share.

    >>> identity({"kind": "Service", "metadata": {"name": "demo"}})
    'Service demo'
    """
    namespace = found["metadata"].get("namespace")
    return f"{found['kind']} {namespace + '/' if namespace else ''}{found['metadata']['name']}"


def _refuse_doubled_variables(found: Object) -> None:
    for container in containers(found):
        names = Counter(entry["name"] for entry in container.get("env") or ())
        twice = sorted(name for name, times in names.items() if times > 1)
        assert not twice, f"{identity(found)}, container {container['name']}: env twice: {twice}"


def pod_template(found: Object) -> Object | None:
    """Return what a workload makes its pods from: `metadata` and `spec`; None for any other object."""
    template: Object | None = None
    match found["kind"]:
        case "Pod":
            template = found
        case "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job":
            template = found["spec"]["template"]
        case "CronJob":
            template = found["spec"]["jobTemplate"]["spec"]["template"]
    return template


def pod_spec(found: Object) -> Object:
    """Return the specification of a workload's pods; empty for any other object."""
    template = pod_template(found)
    return {} if template is None else template["spec"]


def containers(found: Object) -> list[Object]:
    """Return every container of a workload's pods, those of the initialisation first."""
    spec = pod_spec(found)
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def container(found: Object, name: str | None = None) -> Object:
    """Return a workload's only container, or its container of this name."""
    chosen = [each for each in containers(found) if name in {None, each["name"]}]
    assert len(chosen) == 1, f"{identity(found)} has {len(chosen)} containers called {name or 'anything'}"
    return chosen[0]


def env(found: Object, name: str | None = None) -> dict[str, Any]:
    """Return the variables that one container sets itself: each name's text, or its `valueFrom` as it stands."""
    entries = container(found, name).get("env") or ()
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def volumes(found: Object) -> dict[str, Object]:
    """Return the volumes of a workload's pods by name."""
    return {volume["name"]: volume for volume in pod_spec(found).get("volumes") or ()}


def mounts(found: Object, name: str | None = None) -> dict[str, Object]:
    """Return what one container mounts, by path in the container."""
    return {mount["mountPath"]: mount for mount in container(found, name).get("volumeMounts") or ()}
