"""What the chart reads in the cluster: secrets that it made before, and whether its PostgreSQL runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deploy.tools.places import Major
from tests.chart.fake_cluster import fake_cluster
from tests.chart.helm_cli import CHART, MAJORS, run_helm
from tests.chart.manifest_files import Object, parsed
from tests.chart.rendering import Rendered, render

_SERVER: Object = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "demo-marketplace-postgresql", "namespace": "ops"},
    "status": {"readyReplicas": 1},
}


def _rendered(helm: Major, objects: Sequence[Object], *, upgrade: bool = True) -> Rendered:
    with fake_cluster(objects) as address:
        arguments = [
            "--namespace=ops",
            "--dry-run=server",
            "--disable-openapi-validation",
            f"--kube-apiserver={address}",
            "--kube-token=none",
        ]
        arguments += ["--is-upgrade"] if upgrade else []
        ended = run_helm(helm, "template", "demo", str(CHART), *arguments)
    assert ended.returncode == 0, ended.stderr
    return Rendered(parsed(ended.stdout))


def _as_installed(found: Object) -> Object:
    # By these Helm knows what it may take over again; it writes them itself.
    owner = {"meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "ops"}
    metadata = found["metadata"]
    return found | {"metadata": metadata | {"annotations": metadata["annotations"] | owner}}


@pytest.mark.parametrize("helm", MAJORS)
@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "installed again"])
def test_a_secret_that_is_there_stays(helm: Major, *, upgrade: bool) -> None:
    first = _rendered(helm, [], upgrade=False)
    again = _rendered(helm, [_as_installed(found) for found in first.of("Secret")], upgrade=upgrade)
    assert len(again.of("Secret")) == 4
    assert [found["data"] for found in again.of("Secret")] == [found["data"] for found in first.of("Secret")]


def test_a_key_that_a_secret_does_not_have_yet_is_made() -> None:
    old = render().one("Secret", "demo-marketplace-auth") | {"data": {"admin-token": "b2xk"}}
    data = _rendered("4", [_as_installed(old)]).one("Secret", "demo-marketplace-auth")["data"]
    assert data["admin-token"] == "b2xk"
    assert set(data) == {"admin-token", "relay-events-secret", "alertmanager-token"}
    assert all(data.values())


@pytest.mark.parametrize("helm", MAJORS)
def test_migrations_are_a_hook_once_the_bundled_server_runs(helm: Major) -> None:
    job = _rendered(helm, [_SERVER]).one("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


@pytest.mark.parametrize("found", [[], [_SERVER | {"status": {"replicas": 1}}]], ids=["absent", "not ready"])
def test_no_hook_waits_for_a_server_that_only_this_upgrade_mends(found: Sequence[Object]) -> None:
    metadata = _rendered("4", found).one("Job")["metadata"]
    assert "helm.sh/hook" not in metadata.get("annotations", {})
    assert metadata["name"] != "demo-marketplace-migrations"
