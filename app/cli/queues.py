"""`marketplace queue`: what is in the queues, and the switches that pause, resume and drain them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from app.cli.drain_progress import drain_progress
from app.cli.draining import Queues, drain, last_words
from app.cli.new_file import new_file
from app.cli.output import json_option, print_json, print_table, reason_option, say
from app.cli.remote import connect
from app.cli.watching import WAIT_SECONDS
from app.domain.errors import NetworkError
from app.domain.jobs import QUEUES

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _queue_option(function: _Function) -> _Function:
    """Add `--queue`, which arrives as `name`."""
    return click.option("--queue", "name", type=click.Choice([*QUEUES.values()]), help="Only this one.")(function)


@click.group()
def queue() -> None:
    """Show, pause, resume, drain and archive the queues."""


@queue.command()
@json_option
def show(*, as_json: bool) -> None:
    """Show the state of every queue, and what is in it."""
    _print(connect().get("queue")["items"], as_json=as_json)


@queue.command()
@_queue_option
@reason_option
@json_option
def pause(name: str | None, reason: str, *, as_json: bool) -> None:
    """Let no worker take jobs: what runs already ends, what is approved waits."""
    _print(connect().post("queue/pause", _request(name, reason))["items"], as_json=as_json)
    say(f"next: marketplace queue resume{_options(name)} --reason TEXT")


@queue.command()
@_queue_option
@reason_option
@json_option
def resume(name: str | None, reason: str, *, as_json: bool) -> None:
    """Let workers take jobs again, at once; the time of the pause does not count for any job."""
    _print(connect().post("queue/resume", _request(name, reason))["items"], as_json=as_json)
    say("next: marketplace queue show")


@queue.command("drain")
@_queue_option
@reason_option
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds to watch at most; the drain goes on without this command.",
)
@json_option
@click.pass_context
def drain_queue(
    context: click.Context, name: str | None, reason: str, timeout_seconds: float, *, as_json: bool
) -> None:
    """Let workers finish what the queues hold now, and watch until it is done.

    New approvals run in place meanwhile and afterwards. Whatever ends this command, its last line names the state of
    the queues, what is left, and the next command. Exit 0 when drained, 1 when the queue was switched by somebody else
    or the time was up, 5 when the API was out of reach.
    """
    with drain_progress() as progress:
        report = drain(connect(), _request(name, reason), timeout_seconds=timeout_seconds, show=progress)
    words, following = last_words(report, _options(name))
    if as_json:
        document = {"state": report.state, "end": report.end, "detail": words, "queues": report.queues}
        print_json({**document, "next": following})
    else:
        click.echo(f"{words}. Next: {', or '.join(following)}")
    context.exit(report.exit_code)


@queue.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--failed-since", metavar="SPAN", help="Also the jobs that failed within this span, such as 24h.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@json_option
def archive(file: Path, failed_since: str | None, *, force: bool, as_json: bool) -> None:
    """Write every open job with its whole history to FILE, one JSON document a line.

    The file appears when it is complete, and not before: after an interruption, run the command again.
    """
    with new_file(file, replace=force) as target:
        count = _copy(connect().lines("queue/archive", failedSince=failed_since), target)
    if as_json:
        print_json({"file": str(file), "jobCount": count})
    else:
        click.echo(f"{count} jobs are in {file}")


def _copy(lines: Iterator[dict[str, Any]], target: TextIO) -> int:
    """Write the lines of an archive; return how many jobs it has."""
    jobs, ended = 0, False
    for line in lines:
        target.write(json.dumps(line, ensure_ascii=False) + "\n")
        jobs += line.get("type") == "job"
        ended = line.get("type") == "end" and line.get("jobCount") == jobs
    if not ended:
        raise NetworkError("the archive was cut off: run the command again")
    return jobs


def _request(name: str | None, reason: str) -> dict[str, object]:
    return {"reason": reason} if name is None else {"queue": name, "reason": reason}


def _options(name: str | None) -> str:
    return "" if name is None else f" --queue {name}"


def _print(queues: Queues, *, as_json: bool) -> None:
    if as_json:
        print_json(queues)
        return
    columns = ("Queue", "State", "Due", "Later", "Running", "Oldest", "Hints", "Changed", "By", "Reason")
    print_table(columns, [_row(found) for found in queues])


def _row(found: Mapping[str, Any]) -> tuple[object, ...]:
    oldest = found["oldestDueSeconds"]
    return (
        *(found[name] for name in ("queue", "state", "pendingDue", "pendingDelayed", "active")),
        None if oldest is None else f"{oldest:.0f} s",
        *(found[name] for name in ("hintsWaiting", "changedAt", "changedBy", "reason")),
    )
