"""`marketplace web`: the API, served by gunicorn."""

from __future__ import annotations

import os
import sys

import click

from app.agents.configuration import load_agents
from app.failpoints import FAILPOINT_VARIABLE
from app.settings import WebSettings, load_settings
from app.shared_metrics import shared_directory

#: Longer than clients pause between calls, so that a kept connection is seldom closed while one is on its way.
_KEEP_ALIVE_SECONDS = 30


@click.command()
@click.option(
    "--fd",
    type=click.IntRange(min=3),
    help="Listen on this open socket, which whoever starts the process passes on, instead of on host and port.",
)
def web(fd: int | None) -> None:
    """Serve the API in this process; SIGTERM lets requests in flight finish.

    One process with threads: scale by replicas, whose metrics stay their own.
    """
    settings = load_settings(ignoring=FAILPOINT_VARIABLE)
    # What cannot work is told here, in our words; gunicorn would tell it as a traceback.
    load_agents(settings.agents)
    shared_directory()
    command = gunicorn_command(settings.web, fd)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 -- our own interpreter, and signals must reach the server itself


def gunicorn_command(settings: WebSettings, fd: int | None = None) -> list[str]:
    """Return the command that serves the API. It holds no secret: every user of the machine can read it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return [
        sys.executable,
        *("-m", "gunicorn", "app.wsgi:create()", "--config", "python:app.web_server"),
        *("--bind", f"{host}:{settings.port}" if fd is None else f"fd://{fd}"),
        *("--worker-class", "app.web_worker.WebWorker", "--workers", "1", "--threads", str(settings.threads)),
        *("--graceful-timeout", str(round(settings.graceful_timeout_seconds))),
        *("--keep-alive", str(_KEEP_ALIVE_SECONDS)),
        # Our own log tells of every request, and of the start.
        *("--log-level", "warning"),
        "--no-control-socket",
    ]
