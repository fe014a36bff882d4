"""`make compose-check`: the compose file on a Docker daemon of its own; exit code 6 when a step fails.

Needs root, podman, mmdebstrap, dockerd, docker and docker-compose. Images are built with the network that this machine
has. Everything after runs in a network namespace without any, so that no port of this machine is taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from app.domain.errors import ConfigurationError
from deploy.image.engine import find_engine
from tests.compose_check.daemon import running_docker
from tests.compose_check.images import save_images
from tests.compose_check.stack import ComposeStack
from tests.compose_check.steps import Steps

_FAILED = 6
_CANNOT = 2
_NEEDED = ("podman", "mmdebstrap", "dockerd", "docker", "docker-compose", "unshare", "ip")


@click.command
@click.option("--inside", type=click.Path(path_type=Path), hidden=True, help="Directory of a check that is under way.")
@click.option("--program", default="docker-compose", show_default=True, help="The Docker Compose that handles it.")
@click.pass_context
def compose_check(context: click.Context, *, inside: Path | None, program: str) -> None:
    """Build, run, print what was seen."""
    if inside is not None:
        context.exit(_checked(inside, program))
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        click.echo(f"compose-check: needs root, and these on the PATH: {', '.join(missing or _NEEDED)}", err=True)
        context.exit(_CANNOT)
    with tempfile.TemporaryDirectory(prefix="marketplace-compose-") as folder:
        began = time.monotonic()
        try:
            save_images(find_engine("podman"), Path(folder) / "images.tar")
        except ConfigurationError as error:
            click.echo(f"compose-check: {error}", err=True)
            context.exit(_CANNOT)
        click.echo(f"images built and saved: {time.monotonic() - began:.0f} s")
        command = [sys.executable, "-m", "tests.compose_check", "--inside", folder, "--program", program]
        context.exit(subprocess.run(["unshare", "--net", "--", *command], check=False).returncode)


def _checked(directory: Path, program: str) -> int:
    with running_docker(directory / "docker") as docker:
        stack = ComposeStack(docker, Path(program), directory)
        began = time.monotonic()
        docker.answer("load", "--input", directory / "images.tar")
        stack.prepare()
        click.echo(f"images loaded: {time.monotonic() - began:.0f} s")
        click.echo(docker.run(program, "version").stdout.splitlines()[0])
        for title, step in Steps(stack).all():
            try:
                seen = step()
            except AssertionError as error:
                click.echo(f"FAILED  {title}: {error}")
                click.echo(stack.docker.run("docker", "ps", "--all").stdout)
                return _FAILED
            click.echo(f"ok      {title}: {seen}")
    return 0


if __name__ == "__main__":
    compose_check()
