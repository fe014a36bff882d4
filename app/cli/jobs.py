"""`marketplace jobs`: what the workers do."""

from __future__ import annotations

from typing import Any

import click

from app.cli.exit_codes import ExitCode
from app.cli.output import json_option, print_fields, print_json, print_json_line, print_table, say
from app.cli.remote import connect
from app.cli.watching import WAIT_SECONDS, final_state, tell_change
from app.domain.jobs import JobStatus


@click.group()
def jobs() -> None:
    """List, show, watch and retry jobs."""


@jobs.command("list")
@click.option("-q", "--query", help="Which ones, such as 'status:failed agent:shein since:1h'.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@json_option
def list_jobs(query: str | None, limit: int, *, as_json: bool) -> None:
    """List jobs, newest first."""
    found = list(connect().items("jobs", limit=limit, q=query))
    if as_json:
        print_json(found)
    else:
        rows = [(j["jobId"], j["kind"], j["status"], j["attemptCount"], j["createdAt"], j["planId"]) for j in found]
        print_table(("Job", "Kind", "Status", "Attempts", "Created", "Plan"), rows)


@jobs.command()
@click.argument("job_id", type=click.UUID)
@json_option
def show(job_id: object, *, as_json: bool) -> None:
    """Show one job with its attempts."""
    job = connect().get(f"jobs/{job_id}")
    if as_json:
        print_json(job)
        return
    names = ("jobId", "planId", "kind", "status", "progress", "createdAt", "startedAt", "completedAt", "nextAttemptAt")
    reason = job["timeoutReason"]
    timeout = f"{job['timeoutSeconds']:g} s, mode {reason.get('mode', 'fixed')}"
    print_fields([*((name, job[name]) for name in names), ("timeout", timeout), ("error", _error(job))])
    if "agents" in reason:
        titles = (
            "Agent",
            "Timeout",
            "Policy",
            "Base",
            "Opportunities",
            "Transitions",
            "Peak",
            "Rule",
            "Learned",
            "Own",
        )
        print_table(titles, map(_timeout, reason["agents"]))
    rows = [(a["attempt"], a["outcome"], a["startedAt"], a["endedAt"], a["worker"], _error(a)) for a in job["attempts"]]
    print_table(("Attempt", "Outcome", "Started", "Ended", "Worker", "Error"), rows)


@jobs.command()
@click.argument("job_id", type=click.UUID)
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait at most.",
)
@json_option
@click.pass_context
def watch(context: click.Context, job_id: object, timeout_seconds: float, *, as_json: bool) -> None:
    """Follow one job until it has ended; exit 1 when it failed. With --json, one line per change."""
    on_change = print_json_line if as_json else tell_change
    job = final_state(connect(), str(job_id), timeout_seconds=timeout_seconds, on_change=on_change)
    if not as_json:
        click.echo(job["status"])
    if job["status"] != JobStatus.COMPLETED:
        context.exit(ExitCode.FAILED)


@jobs.command()
@click.argument("job_id", type=click.UUID)
@json_option
def retry(job_id: object, *, as_json: bool) -> None:
    """Let a new job follow one that failed for good. Again answers the same job."""
    retried = connect().post(f"dead-letters/{job_id}/retry", {})
    if as_json:
        print_json(retried)
        return
    print_fields(retried.items())
    say(f"next: marketplace jobs watch {retried['jobId']}")


def _error(thing: dict[str, Any]) -> str | None:
    return None if thing["error"] is None else f"{thing['error']['code']}: {thing['error']['message']}"


def _timeout(agent: dict[str, Any]) -> tuple[object, ...]:
    rule = agent["rule"]
    addends = (rule["base"], rule["opportunities"], rule["transitions"], rule["peak"])
    return (
        agent["agent"],
        agent["seconds"],
        agent["policy"],
        *addends,
        rule["seconds"],
        agent["learnedSeconds"],
        agent["configuredSeconds"],
    )
