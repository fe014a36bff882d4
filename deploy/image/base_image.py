"""A base image made from Debian's packages, for machines that reach no registry."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from deploy.image.engine import Engine, EngineError, run_program

#: The name carries what is in it, so that a change here makes another image.
BASE_IMAGE = "localhost/marketplace-base:bookworm-python3.11"

_SUITE = "bookworm"
_PACKAGES = ("ca-certificates", "python3", "python3-venv", "tini")

#: What nobody reads in a container; dpkg leaves it out while it unpacks, and keeps every licence.
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*")
_KEPT = ("/usr/share/doc/*/copyright",)

_SECONDS = 600.0


def make_base(engine: Engine) -> None:
    """Make the base image in this engine's store, unless it is there; takes about a minute.

    Raises:
        EngineError: mmdebstrap is missing or failed, or this is not root.
    """
    if not engine.has_image(BASE_IMAGE):
        import_system(engine, BASE_IMAGE, _PACKAGES)


def import_system(engine: Engine, image: str, packages: tuple[str, ...]) -> None:
    """Make an image of a minimal Debian with these packages.

    Raises:
        EngineError: mmdebstrap is missing or failed, or this is not root.
    """
    if os.geteuid() != 0:
        raise EngineError("a base image is made by root: mmdebstrap sets owners")
    with tempfile.TemporaryDirectory(prefix="marketplace-base-") as folder:
        archive = Path(folder) / "base.tar"
        excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
        kept = [f"--dpkgopt=path-include={pattern}" for pattern in _KEPT]
        run_program(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"),
                *excluded,
                *kept,
                *(_SUITE, archive),
            ],
            seconds=_SECONDS,
        )
        if engine.name == "buildah":
            container = engine.run("from", "scratch").strip()
            engine.run("add", container, archive, "/", seconds=_SECONDS)
            engine.run("commit", "--rm", container, image, seconds=_SECONDS)
        else:
            engine.run("import", archive, image, seconds=_SECONDS)


def python_of(engine: Engine, image: str) -> str:
    """Return the version of a base image's Python, such as 3.11.2.

    Raises:
        EngineError: The image is missing, or has no Python of 3.11 or newer.
    """
    if engine.name == "buildah":
        container = engine.run("from", "--pull-never", image).strip()
        try:
            told = engine.run("run", container, "--", "python3", "--version")
        finally:
            engine.attempt("rm", container)
    else:
        told = engine.run("run", "--rm", "--network=none", "--entrypoint=python3", image, "--version")
    match = re.fullmatch(r"Python (3\.(\d+)\.\d+)\s*", told)
    if match is None or int(match[2]) < 11:  # noqa: PLR2004 -- pyproject.toml says so
        raise EngineError(f"{image} has no Python of 3.11 or newer: {told.strip()}")
    return match[1]
