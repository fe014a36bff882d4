"""Containers for tests: one store of images per user of the machine, filled once, and what is skipped without one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.image.build import build, image_name
from deploy.image.engine import Engine, find_engine

#: Outside of the checkout, so that a fresh clone finds the base that another one made.
STORE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marketplace-containers"

#: What a hardened container of ours is run with, whatever it does.
HARDENED = (
    "--rm",
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:rw,size=64m,mode=1777",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
)


def container_engine() -> Engine:
    """Return podman with the tests' own store; without it the test is skipped by name, in CI it fails."""
    missing = [name for name in ("podman", "mmdebstrap") if shutil.which(name) is None]
    if os.geteuid() != 0:
        _unavailable("containers need root")
    if missing:
        _unavailable(f"{' and '.join(missing)} not installed: run `make tools`")
    return find_engine("podman", store=STORE)


def built_image() -> tuple[Engine, str]:
    """Return the engine and the name of the image, built from this checkout; the first process of a run builds it."""
    engine = container_engine()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone-{os.getpid()}")
    with one_at_a_time(STORE.with_suffix(".lock")):
        last = STORE.with_suffix(".last-run")
        if not last.is_file() or last.read_text() != run:
            build(engine, image_name(), base=None)
            last.write_text(run)
    return engine, image_name()


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one process at a time in."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _unavailable(reason: str) -> None:
    if os.environ.get("CI", "") not in {"", "0", "false"}:
        pytest.fail(reason)
    pytest.skip(reason)
