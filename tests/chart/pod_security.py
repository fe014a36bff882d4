"""The rules of the Pod Security Standard "restricted", each by itself, and those that the chart adds.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.chart.manifest_files import Object

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
_SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(spec: Object) -> list[str]:
    """Return the rules that the specification of a pod breaks, each beginning with where."""
    found = list(_of_pod(spec))
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        found += [f"{container['name']}: {text}" for text in _of_container(container, spec)]
    return found


def _of_pod(spec: Object) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"pod: {name}"
    if spec.get("ephemeralContainers"):
        yield "pod: ephemeral containers"
    for volume in spec.get("volumes") or ():
        yield from (f"volume {volume['name']}: {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    context = spec.get("securityContext") or {}
    yield from (f"pod: sysctl {each['name']}" for each in context.get("sysctls") or () if each["name"] not in _SYSCTLS)
    yield from (f"pod: {text}" for text in _of_any_context(context))


def _of_container(container: Object, spec: Object) -> Iterator[str]:
    context = container.get("securityContext") or {}
    both = {**(spec.get("securityContext") or {}), **context}
    capabilities = context.get("capabilities") or {}
    lifecycle = (container.get("lifecycle") or {}).values()
    broken = {
        "privileged": bool(context.get("privileged")),
        "allowPrivilegeEscalation is not false": context.get("allowPrivilegeEscalation") is not False,
        "capabilities are not dropped": capabilities.get("drop") != ["ALL"],
        "capabilities are added": bool(set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}),
        "procMount": context.get("procMount", "Default") != "Default",
        "hostPort": any(port.get("hostPort") for port in container.get("ports") or ()),
        "a host in a lifecycle hook": any((hook.get("httpGet") or {}).get("host") for hook in lifecycle),
        "runAsNonRoot is not true": both.get("runAsNonRoot") is not True,
        "no seccomp profile": (both.get("seccompProfile") or {}).get("type") not in _SECCOMP,
        # Beyond the standard: the root file system, and a number that the node can compare without asking the image.
        "the root file system can be written": context.get("readOnlyRootFilesystem") is not True,
        "no numeric user": not isinstance(both.get("runAsUser"), int),
    }
    yield from (text for text, is_so in broken.items() if is_so)
    yield from _of_any_context(context)


def _of_any_context(context: Object) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if context.get("runAsNonRoot", True) is not True:
        yield "runAsNonRoot is not true"
    if (context.get("seccompProfile") or {"type": "RuntimeDefault"}).get("type") not in _SECCOMP:
        yield "seccomp is off"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "AppArmor is off"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "SELinux options"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "host process"
