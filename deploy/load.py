"""`make load`: the run of `loadtest/locustfile.py`, on a stack of its own unless MARKETPLACE_URL names another one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from deploy.local.run_file import DataDirectory

_ROOT = Path(__file__).resolve().parents[1]

#: Limits in seconds; each is far above what a run takes.
_START_SECONDS = 60.0
_STOP_SECONDS = 90.0
_JUDGE_SECONDS = 300

#: Users that begin per second.
_SPAWN_RATE = 25


@click.command
@click.option("--approvals", default=1000, show_default=True, help="Plans to approve.")
@click.option("--users", default=100, show_default=True, help="Users at the same time, at most.")
@click.option(
    "--seconds", default=600, show_default=True, help="Time for the approvals; what is missing then is missed."
)
@click.option("--data-dir", "data", default="var/load", show_default=True, help="Where its own stack keeps everything.")
@click.option("--report-dir", default="var/reports", show_default=True, help="Where the report is written.")
def load(*, approvals: int, users: int, seconds: int, data: str, report_dir: str) -> None:
    """Run the load, print the summary, and exit with 6 when a threshold is missed."""
    locust = _ROOT / ".venv-load" / "bin" / "locust"
    if not locust.exists():
        raise click.ClickException("Locust is not installed: make setup-load")
    command = [
        str(locust),
        *("--locustfile", str(_ROOT / "loadtest" / "locustfile.py")),
        *("--headless", "--only-summary", "--loglevel", "WARNING"),
        *("--users", str(users), "--spawn-rate", str(_SPAWN_RATE), "--run-time", f"{seconds}s"),
        *("--approvals", str(approvals), "--report-dir", report_dir),
    ]
    stack = nullcontext(dict[str, str]()) if "MARKETPLACE_URL" in os.environ else _own_stack(DataDirectory(Path(data)))
    with stack as where:
        ended = subprocess.run(  # noqa: S603 -- a program of our own environment
            command, env=os.environ | where, timeout=seconds + _JUDGE_SECONDS, check=False
        )
    sys.exit(ended.returncode)


@contextmanager
def _own_stack(data: DataDirectory) -> Iterator[dict[str, str]]:
    """Yield the variables that lead to a fresh stack without a limit on requests; it is stopped at the end."""
    with data.held():
        data.clear()
    environment = os.environ | {"MARKETPLACE_WEB__RATE_LIMIT_PER_MINUTE": "0"}
    command = [str(Path(sys.executable).with_name("marketplace")), "run", "--no-observe", "--data-dir", str(data.path)]
    supervisor = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 -- our own command
    try:
        yield {
            "MARKETPLACE_URL": _url_when_ready(data, supervisor),
            "MARKETPLACE_TOKEN_FILE": str(data.admin_token),
        }
    finally:
        supervisor.terminate()
        supervisor.wait(_STOP_SECONDS)


def _url_when_ready(data: DataDirectory, supervisor: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        facts = data.announced()
        if facts is not None:
            return str(facts["urls"]["web"])
        if supervisor.poll() is not None:
            raise click.ClickException(f"the stack did not start; its logs are in {data.logs}")
        time.sleep(0.1)
    raise click.ClickException(f"the stack was not ready after {_START_SECONDS:.0f} s")


if __name__ == "__main__":
    load()
