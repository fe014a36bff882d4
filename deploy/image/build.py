"""The build of the image from deploy/Containerfile."""

from __future__ import annotations

import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from deploy.image.base_image import BASE_IMAGE, make_base, python_of
from deploy.image.engine import Engine
from deploy.image.wheels import fetch_wheels

ROOT = Path(__file__).parents[2]

CONTAINERFILE = ROOT / "deploy" / "Containerfile"

LOCKS = (ROOT / "requirements" / "build.lock", ROOT / "requirements" / "runtime.lock")

_SECONDS = 900.0


def version() -> str:
    """Return the product's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def image_name() -> str:
    """Return the name that the chart and the compose file give the image."""
    return f"marketplace:{version()}"


def build(engine: Engine, image: str, *, base: str | None) -> None:
    """Build the image on this base, with the network that the engine has.

    Without a base, it is made on a local one from Debian's packages, and no step of the build has a network.

    Raises:
        EngineError: A step failed.
    """
    arguments = _labels()
    if base is None:
        make_base(engine)
        wheels = ROOT / ".cache" / "image" / "wheels"
        python = python_of(engine, BASE_IMAGE)
        fetch_wheels(LOCKS, wheels / python, python=python)
        arguments |= {"BASE_IMAGE": BASE_IMAGE, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        options = ["--network=none", f"--volume={wheels / python}:/wheels:ro"]
    else:
        arguments["BASE_IMAGE"] = base
        options = []
    if engine.name != "docker":
        # OCI's own format has no place for a health check.
        options += ["--format=docker", "--layers"]
    engine.run(
        "build",
        *options,
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        f"--tag={image}",
        f"--file={CONTAINERFILE}",
        ROOT,
        seconds=_SECONDS,
    )


def _labels() -> dict[str, str]:
    """Return the arguments that become labels; the time is that of the commit, so that a build can be repeated."""
    try:
        revision, committed = subprocess.run(
            ["git", "log", "-1", "--format=%H %ct"],  # noqa: S607 -- the user's own git
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {"VERSION": version()}
    created = datetime.fromtimestamp(int(committed), UTC).isoformat().replace("+00:00", "Z")
    return {"VERSION": version(), "REVISION": revision, "CREATED": created}
