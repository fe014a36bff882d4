"""Every case is taken by both major versions of Helm, and its objects by every release of Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.tools.places import KUBERNETES_VERSIONS, Major
from tests.chart.conftest import CASES
from tests.chart.helm_cli import CHART, MAJORS, run_helm
from tests.chart.rendering import Rendered, cases, render, values_file
from tests.chart.schemas import problems

EACH_MAJOR = pytest.mark.parametrize("major", MAJORS)


def test_every_values_file_is_a_case() -> None:
    assert {*cases(), "sub-chart"} == set(CASES)


@EACH_MAJOR
@pytest.mark.parametrize("name", cases())
def test_helm_lint_has_nothing_to_say(name: str, major: Major) -> None:
    ended = run_helm(major, "lint", CHART, "--strict", "--quiet", f"--values={values_file(name)}")
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stdout + ended.stderr


@EACH_MAJOR
def test_helm_lint_has_nothing_to_say_about_a_parent_chart(parent_chart: Path, major: Major) -> None:
    ended = run_helm(major, "lint", parent_chart, "--strict", "--quiet", "--with-subcharts")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@EACH_MAJOR
def test_every_object_is_valid_in_every_release(
    case_name: str, major: Major, render_case: Callable[..., Rendered]
) -> None:
    assert _refusals(render_case(case_name, helm=major)) == []


@EACH_MAJOR
def test_every_object_of_an_upgrade_is_valid(major: Major) -> None:
    assert _refusals(render(helm=major, upgrade=True)) == []


def _refusals(rendered: Rendered) -> list[str]:
    return [
        f"Kubernetes {version}: {text}"
        for version in KUBERNETES_VERSIONS
        for found in rendered.all()
        for text in problems(found, version)
    ]


@EACH_MAJOR
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_cluster_s_release_changes_nothing(version: str, major: Major) -> None:
    # So that every other test may render once only, and not once for each release.
    assert _shapes(render(helm=major, kube_version=version)) == _shapes(render(helm=major))


def test_no_template_asks_what_the_cluster_can_do() -> None:
    # What depends on the cluster is a value: renderers without a cluster (Argo CD, `helm template`) would guess wrong.
    asking = [
        path.name for path in CHART.rglob("templates/**/*") if path.is_file() and ".Capabilities" in path.read_text()
    ]
    assert asking == []


def test_both_major_versions_render_the_same_objects(case_name: str, render_case: Callable[..., Rendered]) -> None:
    old, new = (render_case(case_name, helm=major) for major in MAJORS)
    assert _shapes(old) == _shapes(new)


@EACH_MAJOR
@pytest.mark.parametrize("version", ["1.26", "1.22"])
def test_an_older_cluster_is_refused(version: str, major: Major) -> None:
    with pytest.raises(AssertionError, match="which is incompatible with Kubernetes"):
        render(helm=major, kube_version=version)


@EACH_MAJOR
@pytest.mark.parametrize("version", ["1.27", "1.33.2-gke.1240000", "1.34.1-eks-113cf36", "1.31.4+k3s1"])
def test_clusters_of_vendors_are_taken(version: str, major: Major) -> None:
    assert render(helm=major, kube_version=version).of("Deployment")


@EACH_MAJOR
def test_a_parent_chart_can_turn_it_off(parent_chart: Path, major: Major) -> None:
    assert render({"marketplace": {"enabled": False}}, helm=major, chart=parent_chart).all() == ()


@EACH_MAJOR
def test_a_parent_chart_s_registry_reaches_every_image(parent_chart: Path, major: Major) -> None:
    rendered = render(helm=major, chart=parent_chart)
    images = {
        container["image"]
        for found in rendered.of("Deployment") + rendered.of("StatefulSet")
        for container in found["spec"]["template"]["spec"]["containers"]
    }
    assert images
    assert {image.partition("/")[0] for image in images} == {"registry.example.com"}


def test_every_map_of_values_takes_only_what_it_knows() -> None:
    # Maps whose keys are the user's own say of what form these are.
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert _open_maps(schema, "values") == ["values.global"]


def _open_maps(schema: object, path: str) -> list[str]:
    """Return where a schema has properties, and takes others beside them."""
    match schema:
        case dict():
            closed = "properties" not in schema or schema.get("additionalProperties") is False
            below = [found for key, each in schema.items() for found in _open_maps(each, f"{path}.{key}")]
            return ([] if closed else [path.replace(".properties", "")]) + below
        case list():
            return [found for each in schema for found in _open_maps(each, path)]
    return []


def test_the_schemas_refuse_what_they_should() -> None:
    worker = render().one("Deployment", "demo-marketplace-worker")
    misspelt = {**worker, "spec": {**worker["spec"], "replica": 3}}
    assert "'replica' was unexpected" in " ".join(problems(misspelt, "1.30"))
    assert problems({**worker, "apiVersion": "apps/v2"}, "1.30") == [
        "Deployment ops/demo-marketplace-worker: no schema of apps/v2 Deployment"
    ]


def _shapes(rendered: Rendered) -> list[object]:
    """Return all that cannot differ between two renderings: not the secrets, which are new each time."""
    return [
        {**found, "data": sorted(found["data"])} if found["kind"] == "Secret" else _without_checksums(found)
        for found in rendered.all()
    ]


def _without_checksums(value: object) -> object:
    match value:
        case dict():
            return {
                key: _without_checksums(each) for key, each in value.items() if not str(key).startswith("checksum/")
            }
        case list():
            return [_without_checksums(each) for each in value]
    return value
