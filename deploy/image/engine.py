"""The program that builds images and runs containers: podman, buildah or docker, whichever is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.errors import ConfigurationError

#: In the order in which they are looked for.
ENGINES = ("podman", "buildah", "docker")

#: Where a host has one hierarchy of control groups, which every runtime can use.
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")

#: For hosts with the older hierarchies: crun refuses them, there is no systemd to ask, and raising limits is refused
#: without the capability for it.
PLAIN_CONFIGURATION = Path(__file__).with_name("containers.conf")


class EngineError(ConfigurationError):
    """A step failed; the text has the last lines of what the program said."""


@dataclass(frozen=True)
class Engine:
    """One program with its store of images. `store` is a folder of its own, the program's usual one when None."""

    program: str
    store: Path | None = None
    plain: bool = field(default_factory=lambda: not _UNIFIED.exists())

    @property
    def name(self) -> str:
        """Which of `ENGINES` it is."""
        return Path(self.program).name

    @property
    def environment(self) -> dict[str, str]:
        """The environment that it runs in."""
        plain = {"CONTAINERS_CONF": str(PLAIN_CONFIGURATION), "BUILDAH_ISOLATION": "oci", "BUILDAH_RUNTIME": "runc"}
        return {**os.environ, **(plain if self.plain and self.name != "docker" else {})}

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the whole command line."""
        own = [] if self.store is None else ["--root", str(self.store), "--runroot", str(self.store) + ".run"]
        return [self.program, *own, *map(str, arguments)]

    def run(self, *arguments: str | Path, seconds: float = 120.0, text: str | None = None) -> str:
        """Run it and return what it printed.

        Raises:
            EngineError: It failed or took longer; the text says what it did last.
        """
        done = self.attempt(*arguments, seconds=seconds, text=text)
        if done.returncode:
            raise EngineError(f"{self.name} {arguments[0]} failed:\n{_tail(done.stderr or done.stdout)}")
        return done.stdout

    def attempt(
        self, *arguments: str | Path, seconds: float = 120.0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it and return how it ended.

        Raises:
            EngineError: It took longer.
        """
        try:
            return subprocess.run(  # noqa: S603 -- a program that we looked for, with arguments of ours
                self.command(*arguments),
                env=self.environment,
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{self.name} {arguments[0]} was not done after {error.timeout:.0f} s") from None

    def has_image(self, name: str) -> bool:
        """Tell whether the store has an image of this name."""
        if self.name == "buildah":
            return self.attempt("inspect", "--type", "image", name).returncode == 0
        return self.attempt("image", "inspect", name).returncode == 0


def find_engine(*names: str, store: Path | None = None) -> Engine:
    """Return the first of these programs that is on the PATH, by default of `ENGINES`.

    Raises:
        ConfigurationError: There is none.
    """
    for name in names or ENGINES:
        program = shutil.which(name)
        if program is not None:
            return Engine(program, store)
    raise ConfigurationError(f"none of {', '.join(names or ENGINES)} is on the PATH: run `make tools`")


def run_program(command: Sequence[str | Path], *, seconds: float) -> str:
    """Run a program beside the engine and return what it printed.

    Raises:
        EngineError: It is missing, failed, or took longer.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 -- programs that this package names
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise EngineError(f"{name} is not installed: run `make tools`") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{name} was not done after {seconds:.0f} s") from None
    if done.returncode:
        raise EngineError(f"{name} failed:\n{_tail(done.stderr or done.stdout)}")
    return done.stdout


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-15:])
