"""Rules that every pod of every case keeps."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.chart.conditions import ports, quantity, services_of_pods, workloads
from tests.chart.manifest_files import Object, containers, identity, pod_spec
from tests.chart.pod_security import violations
from tests.chart.rendering import Rendered, render

#: Values that place pods of their own.
_PARTS = (
    *("web", "worker", "quarantine", "scheduler", "relay", "valkey", "postgresql"),
    *("prometheus", "alertmanager", "grafana", "migrations", "demo", "tests"),
)
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|API_?KEY|WEBHOOK|CREDENTIAL")
#: Registry (a dot or a colon in it), name, and a tag or a digest.
_PINNED = re.compile(r"^(?:[\w.-]+(?::\d+)?/)?[a-z0-9._/-]+(?::(?P<tag>[\w][\w.-]*)|@sha256:[0-9a-f]{64})$")


def test_every_pod_is_restricted(case: Rendered) -> None:
    found = {identity(each): violations(pod_spec(each)) for each in workloads(case)}
    assert {name: broken for name, broken in found.items() if broken} == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hostNetwork": True}, "pod: hostNetwork"),
        ({"hostPID": True}, "pod: hostPID"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volume v: hostPath"),
        ({"securityContext": {"runAsUser": 0}}, "pod: runs as root"),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "pod: sysctl kernel.msgmax"),
        ({"containers": [{"name": "c"}]}, "c: allowPrivilegeEscalation is not false"),
        ({"containers": [{"name": "c"}]}, "c: capabilities are not dropped"),
        ({"containers": [{"name": "c"}]}, "c: runAsNonRoot is not true"),
        ({"containers": [{"name": "c"}]}, "c: no seccomp profile"),
        ({"containers": [{"name": "c"}]}, "c: the root file system can be written"),
        ({"containers": [{"name": "c"}]}, "c: no numeric user"),
        ({"initContainers": [{"name": "i", "securityContext": {"privileged": True}}]}, "i: privileged"),
        ({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 1}]}]}, "c: hostPort"),
        (
            {
                "containers": [
                    {"name": "c", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}
                ]
            },
            "c: capabilities are added",
        ),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_pod_that_is_not_restricted_is_told(change: Object, expected: str) -> None:
    assert expected in violations(change)


def test_no_pod_gets_a_token_of_its_service_account(case: Rendered) -> None:
    assert [
        identity(each) for each in workloads(case) if pod_spec(each).get("automountServiceAccountToken") is not False
    ] == []
    accounts = case.of("ServiceAccount")
    assert [identity(each) for each in accounts if each.get("automountServiceAccountToken") is not False] == []


def test_no_role_or_binding_is_made(case: Rendered) -> None:
    assert [identity(each) for each in case.all() if "Role" in each["kind"]] == []


def test_every_container_says_what_it_needs_and_may_take(case: Rendered) -> None:
    for workload in workloads(case):
        for container in containers(workload):
            asked, most = (container["resources"][name] for name in ("requests", "limits"))
            assert {"cpu", "memory"} <= asked.keys(), identity(workload)
            assert "memory" in most, identity(workload)
            for name in asked.keys() & most.keys():
                assert quantity(asked[name]) <= quantity(most[name]), f"{identity(workload)}: {name}"


def test_every_lasting_container_has_three_probes(case: Rendered) -> None:
    for workload in services_of_pods(case):
        for container in containers(workload):
            missing = {"startupProbe", "livenessProbe", "readinessProbe"} - container.keys()
            assert not missing, f"{identity(workload)}, {container['name']}: {missing}"


def test_probes_ask_ports_that_the_container_has(case: Rendered) -> None:
    for workload in services_of_pods(case):
        for container in containers(workload):
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                for action in ("httpGet", "tcpSocket", "grpc"):
                    port = container[kind].get(action, {}).get("port")
                    assert port is None or port in ports(workload), f"{identity(workload)}: {kind} asks {port}"


def test_no_liveness_depends_on_another_server(case: Rendered) -> None:
    # The paths that answer 503 while Redis, the database or the schema is away.
    for workload in services_of_pods(case):
        for container in containers(workload):
            path = container["livenessProbe"].get("httpGet", {}).get("path", "")
            assert "ready" not in path, f"{identity(workload)}, {container['name']}: {path}"


def test_every_image_is_pinned(case: Rendered) -> None:
    for workload in workloads(case):
        for container in containers(workload):
            match = _PINNED.match(container["image"])
            assert match, f"{identity(workload)}: {container['image']}"
            assert match["tag"] != "latest", identity(workload)


def test_no_secret_stands_in_the_environment(case: Rendered) -> None:
    for workload in workloads(case):
        for container in containers(workload):
            for entry in container.get("env") or ():
                value = str(entry.get("value") or "")
                # The simulated Slack of a trial is a service of the release: its address opens nothing.
                if _SECRET_NAME.search(entry["name"]) and not entry["name"].endswith("_FILE"):
                    assert not value or "-demo-slack." in value, f"{identity(workload)}: {entry['name']}"


def test_every_mount_has_its_volume_and_every_path_one_mount(case: Rendered) -> None:
    for workload in workloads(case):
        known = {volume["name"] for volume in pod_spec(workload).get("volumes") or ()}
        known |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates") or ()}
        used = set()
        for container in containers(workload):
            mounts = container.get("volumeMounts") or []
            paths = Counter(mount["mountPath"] for mount in mounts)
            assert max(paths.values(), default=1) == 1, f"{identity(workload)}: {paths.most_common(1)}"
            used |= {mount["name"] for mount in mounts}
        assert used == known, f"{identity(workload)}: {used ^ known}"


def test_nothing_but_the_program_waits_in_an_init_container(case: Rendered) -> None:
    # A pod that waits in one for the migrations dead-locks `helm install --wait`, Argo CD and Flux.
    for workload in services_of_pods(case):
        assert "wait" not in str(pod_spec(workload).get("initContainers") or ""), identity(workload)


def test_every_pod_can_be_placed_even_that_of_a_job() -> None:
    # Where all nodes are tainted, a migration that bears no taint keeps every upgrade from beginning.
    place = {"nodeSelector": {"pool": "jobs"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"}
    rendered = render({part: place | {"enabled": True} if part == "demo" else place for part in _PARTS})
    assert len(workloads(rendered)) == len(_PARTS) + 1  # of `demo` there are two
    for workload in workloads(rendered):
        assert place.items() <= pod_spec(workload).items(), identity(workload)


def test_an_upgrade_replaces_the_pod_of_a_server_that_could_not_start(case: Rendered) -> None:
    # With the default, somebody has to delete that pod by hand; and the field cannot be changed later.
    assert {found["spec"]["podManagementPolicy"] for found in case.of("StatefulSet")} <= {"Parallel"}


def test_jobs_end_by_themselves(case: Rendered) -> None:
    for job in case.of("Job"):
        assert pod_spec(job)["restartPolicy"] in {"Never", "OnFailure"}
        assert job["spec"]["activeDeadlineSeconds"] > 0


def test_names_of_ports_are_valid_and_single(case: Rendered) -> None:
    for workload in workloads(case):
        names = [port["name"] for container in containers(workload) for port in container.get("ports") or ()]
        assert len(names) == len(set(names)), identity(workload)
        for name in names:
            assert re.fullmatch(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", name), f"{identity(workload)}: {name}"
