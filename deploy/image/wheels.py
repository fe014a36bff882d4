"""The wheels that a lock names, fetched for the Python of a base image, so that a build needs no network."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from deploy.image.engine import run_program

#: A pin with its marker, and the lines of its hashes.
_ENTRY = re.compile(r"^(?P<head>[A-Za-z0-9][^\\\n]*?)\s*\\\n(?P<hashes>(?:    --hash=\S+.*\n)+)", re.MULTILINE)

#: A package index can be slow; the wheels of the product are 40 MB.
_SECONDS = 600.0


def fetch_wheels(locks: Sequence[Path], folder: Path, *, python: str) -> None:
    """Fetch the wheels of these hash-locked files for CPython `python`, such as 3.11.2, on this machine's Linux.

    Does nothing when the folder has been filled from the same files.

    Raises:
        EngineError: pip failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    stamp = folder / f"fetched-{state}"
    if stamp.is_file():
        return
    minor = ".".join(python.split(".")[:2])
    with tempfile.TemporaryDirectory() as scratch:
        # pip judges markers by the Python that it runs on, whatever `--python-version` says, so they are judged here.
        wanted = Path(scratch) / "wanted.lock"
        wanted.write_text("".join(entry for lock in locks for entry in entries_for(lock.read_text("utf-8"), python)))
        run_program(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--implementation", "cp", "--python-version", minor, "--abi", f"cp{minor.replace('.', '')}"),
                *("--abi", "abi3", "--abi", "none"),
                *_platforms(),
                *("--dest", folder, "-r", wanted),
            ],
            seconds=_SECONDS,
        )
    stamp.touch()


def entries_for(lock: str, python: str) -> Iterator[str]:
    r"""Yield the entries of a lock that hold for CPython `python` on Linux, without their markers.

    >>> lock = "a==1 ; python_full_version < '3.11.3' \\\n    --hash=sha256:00\nb==2 \\\n    --hash=sha256:11\n"
    >>> [entry.split()[0] for entry in entries_for(lock, "3.11.7")]
    ['b==2']
    >>> [entry.split()[0] for entry in entries_for(lock, "3.11.2")]
    ['a==1', 'b==2']
    """
    target = {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    seen = set()
    for match in _ENTRY.finditer(lock):
        requirement = Requirement(match["head"])
        if requirement.marker is not None and not requirement.marker.evaluate(target):
            continue
        pinned = f"{requirement.name}{requirement.specifier}"
        if pinned not in seen:
            seen.add(pinned)
            yield f"{pinned} \\\n{match['hashes']}"


def _platforms() -> list[str]:
    """Return pip's options for the platforms whose wheels a current glibc takes, the newest first."""
    machine = platform.machine()
    tags = [*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1"]
    return [part for tag in (*tags, "linux") for part in ("--platform", f"{tag}_{machine}")]
