"""The pods of a rendered chart, as `podman kube play` takes them.

What podman 4.3 cannot do is done here as a cluster does it, and nothing else is changed: a workload becomes the pods
that its controller would make; its volumes become folders with the owners and modes that a kubelet gives them (podman
knows no fsGroup, and its volumes of Secrets are empty); names of Services become names in podman's network; a port is
published only where a test asks for it, on loopback.
"""

from __future__ import annotations

import base64
import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = Mapping[str, Any]

_WORKLOADS = ("Deployment", "StatefulSet", "Job")

#: What a kubelet gives the files of Secrets and ConfigMaps without a mode of their own.
_FILE_MODE = 0o644


@dataclass(frozen=True)
class Pod:
    """One pod: its manifest, the names under which others reach it, and the component that it is one of."""

    name: str
    component: str
    aliases: tuple[str, ...]
    spec: dict[str, Any]
    config_maps: tuple[Object, ...]

    @property
    def container(self) -> str:
        """The name that podman gives its only container."""
        return f"{self.name}-{self.spec['containers'][0]['name']}"

    @property
    def images(self) -> list[str]:
        """The images of its containers."""
        return [str(container["image"]) for container in self.spec["containers"]]

    def manifest(self) -> str:
        """Return what `podman kube play` reads."""
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name}, "spec": self.spec}
        return yaml.safe_dump_all([*map(dict, self.config_maps), pod])


def pods_of(objects: Iterable[Object], folder: Path, *, published: Mapping[str, int]) -> list[Pod]:
    """Return the pods of every workload; their volumes are folders below `folder`.

    `published` maps a component to the loopback port at which its first pod is reached.
    """
    known = {(found["kind"], found["metadata"]["name"]): found for found in objects}
    pods = []
    for (kind, name), workload in known.items():
        if kind not in _WORKLOADS or "helm.sh/hook" in workload["metadata"].get("annotations", {}):
            continue
        for number in range(workload["spec"].get("replicas", 1)):
            pods.append(_pod(workload, f"{name}-{number}", known, folder, port_of=published if number == 0 else {}))
    return pods


def _pod(
    workload: Object, name: str, known: Mapping[tuple[str, str], Object], folder: Path, *, port_of: Mapping[str, int]
) -> Pod:
    template = workload["spec"]["template"]
    labels = template["metadata"]["labels"]
    component = str(labels["app.kubernetes.io/component"])
    spec = copy.deepcopy(template["spec"])
    claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
    volumes = [*spec.get("volumes", ()), *({"name": claim, "emptyDir": {}} for claim in claims)]
    group = spec["securityContext"]["fsGroup"]
    spec["volumes"] = [
        {"name": volume["name"], "hostPath": {"type": "Directory", "path": str(_laid(volume, folder / name, known, group))}}
        for volume in volumes
    ]
    (container,) = spec["containers"]
    ports = container.pop("ports", [])
    if component in port_of:
        chosen = {"containerPort": ports[0]["containerPort"], "hostPort": port_of[component], "hostIP": "127.0.0.1"}
        container["ports"] = [chosen]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        # podman lets systemd run them, which is not there.
        container.pop(probe, None)
    wanted = {source["configMapRef"]["name"] for source in container.get("envFrom", ()) if "configMapRef" in source}
    aliases = [
        f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
        for (kind, _), service in known.items()
        if kind == "Service" and service["spec"]["selector"].items() <= labels.items()
    ]
    return Pod(
        name, component, tuple(aliases), spec, tuple(known["ConfigMap", config] for config in sorted(wanted))
    )


def _laid(volume: Object, folder: Path, known: Mapping[tuple[str, str], Object], group: int) -> Path:
    """Lay the folder of a volume out, and return it."""
    path = folder / volume["name"]
    path.mkdir(parents=True)
    sources = volume.get("projected", {}).get("sources", [volume])
    for source in sources:
        for name, content, mode in _files(source, known):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
            os.chown(path / name, 0, group)
            (path / name).chmod(mode)
    os.chown(path, 0, group)
    path.chmod(0o777 if "emptyDir" in volume or "persistentVolumeClaim" in volume else 0o755)
    return path


def _files(source: Object, known: Mapping[tuple[str, str], Object]) -> Iterable[tuple[str, bytes, int]]:
    """Yield name, content and mode of each file of a Secret or a ConfigMap; of other volumes none."""
    if "secret" in source:
        chosen = source["secret"]
        secret = known["Secret", chosen.get("secretName") or chosen["name"]]
        data = {name: base64.b64decode(value) for name, value in secret.get("data", {}).items()}
        data |= {name: value.encode() for name, value in secret.get("stringData", {}).items()}
    elif "configMap" in source:
        chosen = source["configMap"]
        data = {name: value.encode() for name, value in known["ConfigMap", chosen["name"]].get("data", {}).items()}
    else:
        return
    items = chosen.get("items") or [{"key": name, "path": name} for name in data]
    for item in items:
        yield item["path"], data[item["key"]], item.get("mode", chosen.get("defaultMode", _FILE_MODE))
