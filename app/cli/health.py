"""`marketplace health`: for the health checks of containers, which ask the process that runs beside them.

It imports as little as it can: a check runs every few seconds, on the share of CPU of the process that it asks.
"""

from __future__ import annotations

import http.client
import json
from http import HTTPStatus
from pathlib import Path
from typing import Literal, get_args

import click

from app.cli.exit_codes import ExitCode
from app.domain.errors import ConfigurationError
from app.failpoints import FAILPOINT_VARIABLE
from app.settings import Settings, load_settings

Role = Literal["web", "worker", "scheduler", "relay"]

#: In a container, what it was started with: `tini -- marketplace ROLE`.
_FIRST_PROCESS = Path("/proc/1/cmdline")

#: Longer than any process takes to see that what it depends on does not answer.
_PATIENCE_SECONDS = 3.0

#: Where a process listens on every address, it is asked at the loopback one.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- compared, not listened on

#: What tells whether a process can serve, and what tells whether only a restart would help.
_READY = {"web": "/api/health/ready", "worker": "/ready", "scheduler": "/ready", "relay": "/health/ready"}
_LIVE = {"web": "/api/health/live", "worker": "/live", "scheduler": "/live", "relay": "/health/live"}


@click.command
@click.argument("role", required=False, type=click.Choice(list(_READY)))
@click.option("--live", is_flag=True, help="Ask only whether it lives, not whether it can serve.")
@click.pass_context
def health(context: click.Context, *, role: Role | None, live: bool) -> None:
    """Ask the process of this container how it is; exit 0 when it is well, 1 when not.

    Worker and scheduler answer on their metrics port, which must be set. Without a role, it is the one that the
    container was started with; a container that runs something else is well as long as it runs.
    """
    role = role or role_of(_FIRST_PROCESS)
    if role is None:
        click.echo("runs no role that could be asked")
        return
    try:
        host, port = _address(load_settings(ignoring=FAILPOINT_VARIABLE), role)
    except ConfigurationError as error:
        # Whoever reads the state of a container sees one line, and Docker keeps every code but 0 and 1 for itself.
        well, words = False, "; ".join(str(error).splitlines())
    else:
        well, words = ask(host, port, (_LIVE if live else _READY)[role])
    click.echo(f"{role}: {words}")
    if not well:
        context.exit(ExitCode.FAILED)


def role_of(command_line: Path) -> Role | None:
    """Return the role in the command line of a process, None where there is none or it cannot be read."""
    try:
        words = command_line.read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    command = next((place for place, word in enumerate(words) if Path(word).name == "marketplace"), None)
    named = None if command is None else words[command + 1]
    return next((role for role in get_args(Role) if role == named), None)


def ask(host: str, port: int, path: str) -> tuple[bool, str]:
    """Return whether the process behind this address is well, and its own words on one line."""
    host = _LOOPBACK.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == HTTPStatus.OK, _words(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        return False, f"does not answer at {host}:{port} ({type(error).__name__})"
    finally:
        connection.close()


def _address(settings: Settings, role: Role) -> tuple[str, int]:
    if role == "web":
        return settings.web.host, settings.web.port
    if role == "relay":
        return settings.relay.host, settings.relay.port
    own = settings.worker if role == "worker" else settings.scheduler
    if not own.metrics_port:
        raise ConfigurationError(f"MARKETPLACE_{role.upper()}__METRICS_PORT: is not set, so nobody can be asked")
    return own.metrics_host, own.metrics_port


def _words(status: int, body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return f"HTTP {status}"
    if not isinstance(told, dict) or "status" not in told:
        return f"HTTP {status}"
    rest = [f"{name} {_listed(value)}" for name, value in told.items() if name != "status" and value]
    return " ".join(f"{told['status']}{': ' if rest else ''}{', '.join(rest)}".split())


def _listed(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
