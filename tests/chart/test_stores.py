"""The bundled Valkey and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.settings import DatabaseSettings
from deploy.local.valkey import write_valkey_config
from deploy.tools.places import Major
from tests.chart.helm_cli import MAJORS
from tests.chart.manifest_files import Object, container, env, mounts, pod_spec, volumes
from tests.chart.rendering import refused, render


def _server(name: str, values: Mapping[str, Any] | None = None) -> Object:
    return render(values).one("StatefulSet", f"demo-marketplace-{name}")


def _directives(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def _max_connections(values: Mapping[str, Any] | None = None) -> int:
    found = re.search(r"max_connections=(\d+)", " ".join(container(_server("postgresql", values))["args"]))
    assert found
    return int(found[1])


@pytest.mark.parametrize("helm", MAJORS)
@pytest.mark.parametrize(("name", "port"), [("valkey", 6379), ("postgresql", 5432)])
def test_a_bundled_store_is_one_pod_with_a_disk_behind_a_service(name: str, port: int, helm: Major) -> None:
    rendered = render(helm=helm)
    server = rendered.one("StatefulSet", f"demo-marketplace-{name}")
    service = rendered.one("Service", f"demo-marketplace-{name}")
    assert server["spec"]["replicas"] == 1
    assert server["spec"]["serviceName"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == server["spec"]["selector"]["matchLabels"]
    assert [(each["port"], each["targetPort"]) for each in service["spec"]["ports"]] == [
        (port, container(server)["ports"][0]["name"])
    ]
    assert container(server)["ports"][0]["containerPort"] == port
    (claim,) = server["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_an_upgrade_of_the_chart_alone_neither_changes_a_claim_nor_restarts_a_store(name: str) -> None:
    server = _server(name)
    for labels in (
        server["spec"]["template"]["metadata"]["labels"],
        server["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"],
        server["spec"]["selector"]["matchLabels"],
    ):
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_a_store_runs_as_the_numeric_user_of_its_image_and_writes_to_volumes_only(name: str) -> None:
    server = _server(name)
    security = pod_spec(server)["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (999, 999, 999)
    assert security["runAsNonRoot"] is True
    assert security["fsGroupChangePolicy"] == "OnRootMismatch"
    assert container(server)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod_spec(server)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_the_password_of_a_store_is_a_file_and_stands_in_no_variable_or_argument(name: str) -> None:
    server = _server(name)
    assert volumes(server)["password"]["secret"]["secretName"] == f"demo-marketplace-{name}"
    assert mounts(server)[f"/etc/{name}-password"]["readOnly"] is True
    assert not any(isinstance(value, dict) for value in env(server).values())
    own = _server(name, {name: {"existingSecret": "mine", "passwordKey": "secret-word"}})
    assert volumes(own)["password"]["secret"] == {
        "secretName": "mine",
        "defaultMode": 0o440,
        "items": [{"key": "secret-word", "path": "password"}],
    }
    assert not render({name: {"existingSecret": "mine"}}).has("Secret", f"demo-marketplace-{name}")


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_a_store_is_probed_by_its_own_client_and_has_minutes_to_read_its_data(name: str) -> None:
    probed = container(_server(name))
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "exec" in probed[probe]
    assert probed["startupProbe"]["periodSeconds"] * probed["startupProbe"]["failureThreshold"] >= 600


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_the_disk_of_a_store_can_be_chosen_or_left_out(name: str) -> None:
    chosen = _server(name, {name: {"persistence": {"size": "20Gi", "storageClass": "fast"}}})
    claim = chosen["spec"]["volumeClaimTemplates"][0]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "20Gi")
    shared = _server(name, {"global": {"storageClass": "slow"}})
    assert shared["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "slow"
    existing = _server(name, {name: {"persistence": {"existingClaim": "old-data"}}})
    assert "volumeClaimTemplates" not in existing["spec"]
    assert volumes(existing)["data"]["persistentVolumeClaim"]["claimName"] == "old-data"
    without = _server(name, {name: {"persistence": {"enabled": False}}})
    assert "emptyDir" in volumes(without)["data"]


@pytest.mark.parametrize("name", ["valkey", "postgresql"])
def test_the_pod_of_a_store_can_be_placed(name: str) -> None:
    placed = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "stores", "operator": "Exists"}],
        "priorityClassName": "high",
    }
    spec = pod_spec(_server(name, {name: placed}))
    assert {key: spec[key] for key in placed} == placed


def test_the_images_are_the_projects_own_with_fixed_versions() -> None:
    for name, repository in (("valkey", "docker.io/valkey/valkey"), ("postgresql", "docker.io/library/postgres")):
        image, tag = container(_server(name))["image"].rsplit(":", 1)
        assert image == repository
        # The Debian variants: their user is 999, that of Alpine's PostgreSQL is 70.
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?-(bookworm|trixie)", tag)
    digest = "sha256:" + "a" * 64
    pinned = container(_server("valkey", {"valkey": {"image": {"digest": digest}}}))
    assert pinned["image"] == f"docker.io/valkey/valkey@{digest}"


def test_valkey_is_configured_as_in_the_local_stack(tmp_path: Path) -> None:
    local = _directives(write_valkey_config(tmp_path, port=6379, password="x").read_text(encoding="utf-8"))
    data = render().one("ConfigMap", "demo-marketplace-valkey")["data"]
    bundled = _directives(data["valkey.conf"])
    different = {"bind", "dir", "requirepass", "include", "maxmemory"}
    assert {k: v for k, v in bundled.items() if k not in different} == {
        k: v for k, v in local.items() if k not in different
    }
    assert bundled["maxmemory"] == "256mb"
    assert bundled["maxmemory-policy"] == "noeviction"
    assert bundled["include"] == "/run/valkey/password.conf"
    assert volumes(_server("valkey"))["run"]["emptyDir"]["medium"] == "Memory"


def test_a_change_of_valkeys_configuration_restarts_it() -> None:
    def checksum(values: Mapping[str, Any] | None = None) -> str:
        found: str = _server("valkey", values)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum() != checksum({"valkey": {"maxMemory": "128mb"}})
    assert checksum() == checksum({"worker": {"replicas": 5}})


@pytest.mark.parametrize("limit", ["255Mi", "260M", "0.2Gi"])
def test_a_valkey_that_would_be_killed_before_it_is_full_is_refused(limit: str) -> None:
    # Half as much again is there by default: while it rewrites its file, what changes is there twice.
    assert container(_server("valkey"))["resources"]["limits"]["memory"] == "384Mi"
    assert "valkey.maxMemory" in refused({"valkey": {"resources": {"limits": {"memory": limit}}}})


@pytest.mark.parametrize("limit", ["1Gi", "300M", None])
def test_a_valkey_with_room_or_without_a_limit_is_taken(limit: str | None) -> None:
    assert _server("valkey", {"valkey": {"resources": {"limits": {"memory": limit}}}})


def test_postgresql_keeps_its_data_in_a_subdirectory_with_checksums() -> None:
    server = _server("postgresql")
    assert env(server)["PGDATA"] == "/var/lib/postgresql/data/pgdata"
    assert env(server)["POSTGRES_PASSWORD_FILE"] == "/etc/postgresql-password/password"
    assert "--data-checksums" in env(server)["POSTGRES_INITDB_ARGS"]
    assert "scram-sha-256" in env(server)["POSTGRES_INITDB_ARGS"]
    assert {"/var/lib/postgresql/data", "/var/run/postgresql", "/tmp", "/dev/shm"} < mounts(server).keys()


def test_postgresql_is_ready_only_when_it_answers_over_tcp() -> None:
    command = container(_server("postgresql"))["readinessProbe"]["exec"]["command"]
    assert command[:4] == ["pg_isready", "-q", "-h", "127.0.0.1"]


def test_postgresql_takes_the_connections_of_all_pools() -> None:
    pool = DatabaseSettings().pool_size
    # Each role has one pod more while its pods are replaced: web 2, worker 2, quarantine 1, scheduler 2.
    assert _max_connections() == (3 + 3 + 2 + 3) * pool + 10
    assert _max_connections({"worker": {"replicas": 8}}) == (3 + 10 + 2 + 3) * pool + 10
    assert _max_connections({"quarantine": {"enabled": False}}) == (3 + 3 + 3) * pool + 10
    smaller = {"settings": {"MARKETPLACE_DATABASE__POOL_SIZE": 5}}
    assert _max_connections(smaller) == (3 + 3 + 2 + 3) * 5 + 10


def test_postgresql_takes_the_connections_of_the_most_pods_that_an_autoscaler_sets() -> None:
    keda = {"worker": {"keda": {"enabled": True, "maxReplicas": 20}}}
    assert _max_connections(keda) == (3 + 25 + 2 + 3) * 20 + 10
    scaled = {"web": {"autoscaling": {"enabled": True, "maxReplicas": 6}}}
    assert _max_connections(scaled) == (8 + 3 + 2 + 3) * 20 + 10


def test_fewer_connections_than_the_pools_may_open_are_refused() -> None:
    assert _max_connections({"postgresql": {"maxConnections": 500}}) == 500
    assert "postgresql.maxConnections" in refused({"postgresql": {"maxConnections": 100}})


def test_parameters_of_postgresql_are_passed_on() -> None:
    arguments = container(_server("postgresql", {"postgresql": {"parameters": {"shared_buffers": "256MB"}}}))["args"]
    assert arguments[0] == "postgres"
    assert arguments[-2:] == ["-c", "shared_buffers=256MB"]
    assert "parameters" in refused({"postgresql": {"parameters": {"-c evil": "x"}}})


def test_valkey_is_restarted_with_its_clients_when_a_secret_of_ours_has_changed() -> None:
    def checksum(values: Mapping[str, Any]) -> str | None:
        found: str | None = _server("valkey", values)["spec"]["template"]["metadata"]["annotations"].get(
            "checksum/secrets"
        )
        return found

    # Without a cluster the Secret cannot be read; which one it is can be told.
    assert checksum({}) is None
    first, second = (checksum({"valkey": {"existingSecret": name}}) for name in ("one", "two"))
    assert first
    assert first != second
