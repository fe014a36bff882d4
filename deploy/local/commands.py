"""The commands of the local stack: `marketplace run|stop|status|doctor|demo`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from app.cli.exit_codes import ExitCode
from app.cli.output import json_option, print_fields, print_json, print_json_line, print_table, say
from app.domain.errors import ConfigurationError, ConflictError, DeadlineExceededError, NotFoundError
from app.failpoints import FAILPOINT_VARIABLE
from app.settings import load_settings
from deploy.local.environment import keep_settings, read_dotenv
from deploy.local.observers import ObserverBinaries, find_observers
from deploy.local.ports import LOOPBACK
from deploy.local.run_file import DataDirectory, as_typed
from deploy.local.running import holding, run_stack
from deploy.local.stack import Stack
from deploy.local.supervisor import StopRequest, signals_to

#: Longer than any stack takes to stop.
_STOP_SECONDS = 90.0

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _data_dir_option(default: str) -> Callable[[_Function], _Function]:
    return click.option(
        "--data-dir",
        "data",
        default=default,
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        callback=lambda _context, _option, path: DataDirectory(path),
        help="Where the stack keeps everything.",
    )


@click.command
@_data_dir_option("var")
@click.option(
    "--observe/--no-observe",
    default=None,
    help="Run Prometheus and Alertmanager beside it, or do not; by default when both are on the PATH.",
)
@json_option
@click.pass_context
def run(context: click.Context, data: DataDirectory, *, observe: bool | None, as_json: bool) -> None:
    """Start the whole stack and keep it running until Ctrl-C, which lets jobs in flight finish.

    Uses an embedded Valkey and SQLite under the data directory, or the servers that DATABASE_URL and REDIS_URL name.
    Settings come from the environment and from `.env`. Started twice, the second one tells where the first one is.
    """
    read_dotenv()
    settings = load_settings(ignoring=FAILPOINT_VARIABLE)
    observers = _observers(wanted=observe)
    request = StopRequest()

    def on_ready(stack: Stack, facts: dict[str, Any]) -> None:
        if as_json:
            print_json_line(facts)
        else:
            click.echo("\n".join(banner(stack)))
        sys.stdout.flush()

    with signals_to(request), holding(data, request) as other:
        if other is not None:
            if observe and "prometheus" not in other["urls"]:
                raise ConflictError(f"a stack runs in {data.path} without Prometheus; stop it first: marketplace stop")
            _tell_where(other, as_json=as_json)
            return
        if settings.web.host != LOOPBACK:
            say(f"web listens on {LOOPBACK} only; MARKETPLACE_WEB__HOST is for `marketplace web`")
        run_stack(settings, data, request=request, say=say, on_ready=on_ready, observers=observers)
    if request.is_urgent:
        context.exit(ExitCode.INTERRUPTED)


@click.command
@_data_dir_option("var/demo")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also write what is printed as a picture.")
@json_option
@click.pass_context
def demo(context: click.Context, data: DataDirectory, svg: Path | None, *, as_json: bool) -> None:
    """Start a fresh stack on free ports, play a story on it, print a summary, stop everything.

    Always on the defaults, with an embedded Valkey and SQLite: of the settings only port and log level count. Only
    circuits stay open for a few seconds instead of a minute.
    """
    # Imported here: the other commands of this module tell no story.
    from deploy.local.demo import Demo, demo_console, print_summary, save_picture  # noqa: PLC0415 -- as above
    from deploy.local.story import OPEN_SECONDS  # noqa: PLC0415 -- as above

    keep_settings("PORT", "MARKETPLACE_WEB__PORT", "LOG_LEVEL", "MARKETPLACE_LOG__LEVEL")
    os.environ["MARKETPLACE_BREAKERS__OPEN_SECONDS"] = str(OPEN_SECONDS)
    request, console = StopRequest(), demo_console(to_stderr=as_json, picture=svg)
    with signals_to(request), holding(data, request) as other:
        if other is not None:
            raise ConflictError(f"another stack runs in {data.path}")
        summary = Demo(load_settings(), data, console, request).run()
    if summary is None:
        context.exit(ExitCode.INTERRUPTED)
    if as_json:
        print_json(summary)
    else:
        print_summary(console, summary)
    if svg:
        save_picture(console, svg)


@click.command
@_data_dir_option("var")
@json_option
def stop(data: DataDirectory, *, as_json: bool) -> None:
    """Stop the stack that runs in the data directory, and wait until it is gone; jobs in flight finish first."""
    # The lock on the data directory proves that this process is the supervisor, not another one with its old id.
    supervisor = data.holder()
    if supervisor is not None:
        os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while data.holder() == supervisor:
            if time.monotonic() > deadline:
                raise DeadlineExceededError(f"the supervisor (pid {supervisor}) still runs after {_STOP_SECONDS:.0f} s")
            time.sleep(0.05)
    if as_json:
        print_json({"stopped": supervisor})
    else:
        say(f"nothing runs in {data.path}" if supervisor is None else f"stopped the stack in {data.path}")


@click.command
@_data_dir_option("var")
@json_option
@click.pass_context
def status(context: click.Context, data: DataDirectory, *, as_json: bool) -> None:
    """Tell where the running stack is and whether its processes live; exit 3 when none runs, 6 when one has died."""
    facts = data.announced()
    if facts is None:
        if as_json:
            print_json({"state": "stopped" if data.holder() is None else "starting"})
        raise NotFoundError(
            f"no stack runs in {data.path}" if data.holder() is None else f"the stack in {data.path} is starting"
        )
    alive = {
        name: all(_lives(pid) for pid in (pids if isinstance(pids, list) else [pids]))
        for name, pids in facts["pids"].items()
    }
    if as_json:
        print_json({**facts, "alive": alive})
    else:
        print_fields([*facts["urls"].items(), ("database", facts["database"]), ("data", facts["dataDir"])])
        rows = [(name, facts["pids"][name], "yes" if lives else "no") for name, lives in alive.items()]
        print_table(("Process", "Pid", "Alive"), rows)
    if not all(alive.values()):
        context.exit(ExitCode.CHECK_FAILED)


@click.command
@_data_dir_option("var")
@json_option
@click.pass_context
def doctor(context: click.Context, data: DataDirectory, *, as_json: bool) -> None:
    """Check this machine and its settings; name a fix for each problem, and exit 6 when there is one."""
    # Imported here: the other commands of this module need neither the database nor Redis.
    from deploy.local.doctor import examine  # noqa: PLC0415 -- as above

    checks = [
        {"number": number, "name": name, "ok": not found.is_problem, "detail": found.detail, "fix": found.fix or None}
        for number, (name, found) in enumerate(examine(data), 1)
    ]
    if as_json:
        print_json(checks)
    else:
        rows = [(c["number"], c["name"], "ok" if c["ok"] else "problem", c["detail"], c["fix"]) for c in checks]
        print_table(("", "Check", "", "Found", "Fix"), rows)
    if not all(check["ok"] for check in checks):
        context.exit(ExitCode.CHECK_FAILED)


def banner(stack: Stack) -> list[str]:
    """Return what a person needs to know of a stack that has just started, under 15 lines."""
    data, urls, command = stack.data, stack.urls, _command()
    web, token = urls["web"], as_typed(data.admin_token)
    moves = "; ".join(f"{purpose}: {port.number}, for {port.moved}" for purpose, port in stack.moved_ports())
    return [
        f"marketplace {version('marketplace-resilience')} runs on {stack.servers}",
        f"  API docs  {web}/api/docs",
        f"  API       {web}/api/marketplace",
        f"  Metrics   {urls['metrics']}",
        *([f"  Observing {urls['prometheus']} (Prometheus), {urls['alertmanager']}"] if stack.observers else []),
        f"  Slack     {urls['inbox'] + ', simulated' if 'inbox' in urls else 'the one that the settings name'}",
        f"  Agents    {urls['agents'] + ', simulated' if 'agents' in urls else 'those that the settings name'}",
        f"  Token     {token} (role admin)",
        f"  Data      {data.path} (kept on restart: yes); logs in {as_typed(data.logs)}",
        *([f"  Ports     {moves}"] if moves else []),
        "Next, in another terminal:",
        f"  {command} plans list",
        f'  curl -H "Authorization: Bearer $(cat {token})" {web}/api/marketplace/analysis',
        f"  {command} status",
        "Ctrl-C stops everything",
    ]


def _observers(*, wanted: bool | None) -> ObserverBinaries | None:
    """Return the observers that a stack shall have.

    Raises:
        ConfigurationError: They are wanted and missing.
    """
    if wanted is False:
        return None
    try:
        return find_observers()
    except ConfigurationError:
        if wanted:
            raise
        return None


def _tell_where(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json_line(facts)
        return
    say(f"a stack runs already in {facts['dataDir']}, since {facts['startedAt']}")
    print_fields(facts["urls"].items())


def _command() -> str:
    """Return what one types for this command: its name where the shell finds it, else its path."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which(here.name)
    return here.name if found and Path(found) == here else as_typed(here)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    return True
