"""`marketplace plans`: what the agents propose, and what people decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from app.cli.exit_codes import ExitCode
from app.cli.output import json_option, print_fields, print_json, print_table, say
from app.cli.remote import connect
from app.cli.watching import WAIT_SECONDS, final_state, tell_change
from app.domain.jobs import JobStatus, PlanStatus


@click.group()
def plans() -> None:
    """List, show, approve and reject plans."""


@plans.command("list")
@click.option("--status", type=click.Choice([status.value for status in PlanStatus]), help="Only plans in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@json_option
def list_plans(status: str | None, limit: int, *, as_json: bool) -> None:
    """List plans, newest first."""
    found = list(connect().items("analysis", limit=limit, status=status))
    if as_json:
        print_json(found)
    else:
        rows = [(p["planId"], p["status"], ", ".join(p["channels"]), p["createdAt"], p["title"]) for p in found]
        print_table(("Plan", "Status", "Channels", "Created", "Title"), rows)


@plans.command()
@click.argument("plan_id", type=click.UUID)
@json_option
def show(plan_id: object, *, as_json: bool) -> None:
    """Show one plan with its jobs and tasks."""
    plan = connect().get(f"analysis/{plan_id}")
    if as_json:
        print_json(plan)
        return
    names = ("planId", "title", "status", "origin", "channels", "createdAt", "createdBy", "approvedBy", "rejectedBy")
    print_fields([(name, _text(plan.get(name))) for name in names])
    print_fields([("note", note) for note in plan["notes"]])
    if plan["jobs"]:
        jobs = [(j["jobId"], j["kind"], j["status"], f"{j['progress']} %", j["attemptCount"]) for j in plan["jobs"]]
        print_table(("Job", "Kind", "Status", "Progress", "Attempts"), jobs)
    if plan["tasks"]:
        tasks = [(t["source"], t["priority"], t["channel"], t["title"]) for t in plan["tasks"]]
        print_table(("Source", "Priority", "Channel", "Task"), tasks)


@plans.command()
@click.argument("plan_id", type=click.UUID)
@click.option("--reason", help="Why; stands in the audit log.")
@click.option("--wait", is_flag=True, help="Wait until the plan's job has ended; exit 1 when it failed.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds that --wait waits.",
)
@json_option
@click.pass_context
def approve(
    context: click.Context, plan_id: object, reason: str | None, timeout_seconds: float, *, wait: bool, as_json: bool
) -> None:
    """Approve a plan: its Phase 1 job is queued. Approving again answers the same job."""
    remote = connect()
    decision = remote.patch(f"analysis/{plan_id}", _decision("approve", reason))
    if not wait:
        _print_decision(decision, as_json=as_json)
        return
    job = final_state(remote, decision["jobId"], timeout_seconds=timeout_seconds, on_change=tell_change)
    if as_json:
        print_json(job)
    else:
        click.echo(job["status"])
    if job["status"] != JobStatus.COMPLETED:
        context.exit(ExitCode.FAILED)


@plans.command()
@click.argument("plan_id", type=click.UUID)
@click.option("--reason", required=True, help="Why; the plan keeps it.")
@json_option
def reject(plan_id: object, reason: str, *, as_json: bool) -> None:
    """Reject a plan, for good."""
    _print_decision(connect().patch(f"analysis/{plan_id}", _decision("reject", reason)), as_json=as_json)


def _decision(action: str, reason: str | None) -> dict[str, object]:
    return {"action": action} if reason is None else {"action": action, "reason": reason}


def _print_decision(decision: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(decision)
    else:
        print_fields([(name, _text(value)) for name, value in decision.items()])
        if decision.get("jobId"):
            say(f"next: marketplace jobs watch {decision['jobId']}")


def _text(value: object) -> object:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value
