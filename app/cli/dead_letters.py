"""`marketplace dead-letters`: what came to no good end, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from app.cli.exit_codes import ExitCode, exit_code_of
from app.cli.letter_export import FORMATS, write_letters
from app.cli.new_file import new_file
from app.cli.output import json_option, print_fields, print_json, print_table, say
from app.cli.remote import Remote, connect
from app.domain.dead_letters import MOST_RETRIED, ErrorClass, LetterStatus
from app.domain.errors import MarketplaceError
from app.domain.jobs import JobKind

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Options that choose letters, under the names that the API has for them.
_CONDITIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--kind", "kind", {"type": click.Choice([kind.value for kind in JobKind]), "help": "Only of such jobs."}),
    ("--reason", "reason", {"help": "Only with this code of the last error, such as bad_answer."}),
    (
        "--error-class",
        "errorClass",
        {"type": click.Choice([value.value for value in ErrorClass]), "help": "Only of this class."},
    ),
    ("--agent", "agent", {"help": "Only of plans for this agent or channel."}),
    ("--plan", "planId", {"type": click.UUID, "help": "Only of this plan."}),
    ("--since", "since", {"help": "Only archived within this time: 30m, 1h, 7d."}),
    ("--text", "text", {"help": "Only with this in the error's text."}),
)

#: What `show` does not print as it is.
_NO_LINES = ("attempts", "payload")


def _condition_options(function: _Function) -> _Function:
    for option, name, attributes in reversed(_CONDITIONS):
        function = click.option(option, name.lower(), **attributes)(function)
    return function


def _status_option(default: str) -> Callable[[_Function], _Function]:
    return click.option(
        "--status",
        type=click.Choice([*(status.value for status in LetterStatus), "all"]),
        default=default,
        show_default=True,
        help="Where the letters are.",
    )


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, retry, discard and export dead letters."""


@dead_letters.command("list")
@_status_option(LetterStatus.WAITING.value)
@_condition_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@json_option
def list_letters(status: str, limit: int, *, as_json: bool, **conditions: object) -> None:
    """List dead letters, newest first."""
    found = list(connect().items("dead-letters", limit=limit, status=_status(status), **_wanted(conditions)))
    if as_json:
        print_json(found)
        return
    columns = ("Letter", "Status", "Kind", "Class", "Reason", "Attempts", "Archived", "Error")
    names = ("id", "status", "kind", "errorClass", "reason", "attemptCount", "archivedAt", "errorMessage")
    print_table(columns, [[letter[name] for name in names] for letter in found])


@dead_letters.command()
@click.argument("letter_id", type=click.UUID)
@json_option
def show(letter_id: UUID, *, as_json: bool) -> None:
    """Show one dead letter with every attempt: by the id of its job, or its own when it has none."""
    letter = connect().get(f"dead-letters/{letter_id}")
    if as_json:
        print_json(letter)
        return
    payload = json.dumps(letter["payload"])
    print_fields([*((name, value) for name, value in letter.items() if name not in _NO_LINES), ("payload", payload)])
    columns = ("Attempt", "Outcome", "Started", "Ended", "Worker", "Error")
    print_table(columns, [_attempt(attempt) for attempt in letter["attempts"]])
    if letter["retriedAs"]:
        say(f"next: marketplace jobs show {letter['retriedAs']}")


@dead_letters.command()
@click.argument("letter_ids", type=click.UUID, nargs=-1)
@_condition_options
@click.option("--all", "every", is_flag=True, help="Every one that waits.")
@click.option("--limit", type=click.IntRange(1, MOST_RETRIED), default=100, show_default=True, help="At most so many.")
@click.option("--rate", type=click.FloatRange(0, 1000, min_open=True), help="Spread the new jobs: so many a second.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def retry(
    context: click.Context,
    /,
    letter_ids: Sequence[UUID],
    *,
    every: bool,
    limit: int,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **conditions: object,
) -> None:
    """Retry dead letters: those named, or the waiting ones that the options choose, oldest first.

    Each retry is a new job. Retrying again answers the same job.
    """
    wanted = _wanted(conditions)
    if bool(letter_ids) + bool(wanted) + every != 1:
        raise click.UsageError("name dead letters, or choose them by options, or give --all")
    remote = connect()
    if letter_ids:
        if dry_run:
            raise click.UsageError("--dry-run is for dead letters that options choose")
        _for_each(context, letter_ids, lambda letter: remote.post(f"dead-letters/{letter}/retry", {}), as_json=as_json)
        return
    order: dict[str, object] = {"filter": wanted, "limit": limit}
    if rate is not None:
        order["ratePerSecond"] = rate
    if not (dry_run or yes) and sys.stdin.isatty() and not _confirmed(remote, order):
        say("nothing was retried")
        context.exit(ExitCode.FAILED)
    _print_bulk(remote.post("dead-letters/retry", {**order, "dryRun": dry_run}), as_json=as_json)


@dead_letters.command()
@click.argument("letter_ids", type=click.UUID, nargs=-1, required=True)
@click.option("--reason", required=True, help="Why nothing follows; the archive keeps it.")
@json_option
@click.pass_context
def discard(context: click.Context, letter_ids: Sequence[UUID], reason: str, *, as_json: bool) -> None:
    """Decide that nothing follows these dead letters; the archive keeps them."""
    remote = connect()
    _for_each(
        context, letter_ids, lambda letter: remote.delete(f"dead-letters/{letter}", reason=reason), as_json=as_json
    )


@dead_letters.command()
@_status_option("all")
@_condition_options
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="ndjson", show_default=True, help="How they are written."
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@json_option
def export(status: str, form: str, file: Path | None, *, force: bool, as_json: bool, **conditions: object) -> None:
    """Write dead letters with every attempt, newest first: a JSON document a line, or a table as CSV.

    They go to FILE, which appears when it is complete, and not before; without FILE to standard output. With --json,
    tell how many are in the file.
    """
    if as_json and file is None:
        raise click.UsageError("--json is for an export to a file: name one")
    letters = connect().lines("dead-letters/export", status=_status(status), **_wanted(conditions))
    if file is None:
        write_letters(letters, form, sys.stdout)
        return
    with new_file(file, replace=force) as target:
        count = write_letters(letters, form, target)
    if as_json:
        print_json({"file": str(file), "letterCount": count})
    else:
        click.echo(f"{count} dead letters are in {file}")


def _wanted(conditions: Mapping[str, object]) -> dict[str, str]:
    """Return the conditions that were given, under the API's names; click hands names over in lower case."""
    return {name: str(conditions[name.lower()]) for _, name, _ in _CONDITIONS if conditions[name.lower()] is not None}


def _status(status: str) -> str | None:
    return None if status == "all" else status


def _for_each(
    context: click.Context, letter_ids: Sequence[UUID], act: Callable[[UUID], Mapping[str, Any]], *, as_json: bool
) -> None:
    """Do something for each letter, go on after an error, and end with the exit code of the first one."""
    done, errors = [], []
    for letter_id in letter_ids:
        try:
            done.append(act(letter_id))
        except MarketplaceError as error:
            say(f"error: {letter_id}: {error}")
            errors.append(error)
    if as_json:
        print_json(done)
    else:
        for answer in done:
            print_fields([(name, value) for name, value in answer.items() if value is not None])
    if errors:
        context.exit(exit_code_of(errors[0]))


def _confirmed(remote: Remote, order: Mapping[str, object]) -> bool:
    foreseen = remote.post("dead-letters/retry", {**order, "dryRun": True})
    skipped = f" ({foreseen['skipped']} would be skipped)" if foreseen["skipped"] else ""
    return click.confirm(f"Retry {foreseen['retried']} dead letters{skipped}?", err=True)


def _print_bulk(done: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    verb = "would be retried" if done["dryRun"] else "retried"
    print_fields(
        [
            ("found", done["matched"]),
            (verb, done["retried"]),
            ("skipped", done["skipped"]),
            *((f"  {cause}", count) for cause, count in done["skippedCauses"].items()),
        ]
    )


def _attempt(attempt: Mapping[str, Any]) -> Sequence[object]:
    error = attempt["error"] and f"{attempt['error']['code']}: {attempt['error']['message']}"
    return (attempt["attempt"], attempt["outcome"], attempt["startedAt"], attempt["endedAt"], attempt["worker"], error)
