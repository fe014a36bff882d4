"""`marketplace breakers`: the circuits of the agents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from app.cli.output import json_option, print_fields, print_json, print_table, reason_option, say
from app.cli.remote import connect
from app.domain.channels import CHANNEL_PATTERN
from app.domain.spans import format_span, parse_span

#: Fields of a circuit that `show` puts into a table or says in other words.
_NO_LINES = frozenset({"history", "held", "lastError", "errorRate"})


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return an agent's name; what is none must not get into a path."""
    if not re.fullmatch(CHANNEL_PATTERN, value):
        raise click.BadParameter(f"{value!r} is no name of an agent")
    return value


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else parse_span("--for", value)


_agent_argument = click.argument("agent", callback=_named)


@click.group()
def breakers() -> None:
    """Show, open, close and reset the circuits of the agents."""


@breakers.command("list")
@json_option
def list_breakers(*, as_json: bool) -> None:
    """List the circuit of every agent."""
    found = connect().get("breakers")["items"]
    if as_json:
        print_json(found)
        return
    columns = ("Agent", "State", "Failures", "Retry in", "Errors in 5 min", "Last error", "Held", "Shared")
    print_table(columns, [_row(circuit) for circuit in found])


@breakers.command()
@_agent_argument
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="Changes, at most so many.")
@json_option
def show(agent: str, limit: int, *, as_json: bool) -> None:
    """Show the circuit of an agent with its newest changes."""
    found = connect().get(f"breakers/{agent}", limit=limit)
    _print(found, as_json=as_json)
    if not as_json:
        print_table(
            ("At", "From", "To", "Cause", "For", "By", "Reason", "Error"), [_change(c) for c in found["history"]]
        )


@breakers.command("open")
@_agent_argument
@click.option(
    "--for", "seconds", metavar="SPAN", required=True, callback=_seconds, help="How long, such as 15m: 1s-7d."
)
@reason_option
@json_option
def open_breaker(agent: str, seconds: int, reason: str, *, as_json: bool) -> None:
    """Let no call to an agent pass for a time; then single calls decide whether it is well."""
    _move(agent, "open", {"seconds": seconds, "reason": reason}, as_json=as_json)
    say(f"next: marketplace breakers reset {agent} --reason TEXT, or wait")


@breakers.command()
@_agent_argument
@click.option(
    "--for", "seconds", metavar="SPAN", callback=_seconds, help="How long: 1s-7d, by default as it stays open."
)
@reason_option
@json_option
def close(agent: str, seconds: int | None, reason: str, *, as_json: bool) -> None:
    """Let every call to an agent pass for a time, and count no failure; then failures count again."""
    body: dict[str, object] = {"reason": reason} if seconds is None else {"seconds": seconds, "reason": reason}
    _move(agent, "close", body, as_json=as_json)
    say(f"next: marketplace breakers show {agent}")


@breakers.command()
@_agent_argument
@reason_option
@json_option
def reset(agent: str, reason: str, *, as_json: bool) -> None:
    """Close the circuit of an agent and let it count from 0, as if nothing had happened."""
    _move(agent, "reset", {"reason": reason}, as_json=as_json)
    say(f"next: marketplace breakers show {agent}")


def _move(agent: str, verb: str, body: Mapping[str, object], *, as_json: bool) -> None:
    _print(connect().post(f"breakers/{agent}/{verb}", body), as_json=as_json)


def _print(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    lines = [(name, value) for name, value in found.items() if name not in _NO_LINES]
    print_fields(
        [*lines, ("errorRate", _rate(found)), ("lastError", _error(found["lastError"])), ("held", _hold(found))]
    )


def _row(found: Mapping[str, Any]) -> Sequence[object]:
    counted = f"{found['failures']}/{found['failureThreshold']}"
    return (
        found["agent"],
        found["state"],
        counted,
        _span(found["secondsUntilRetry"]),
        _rate(found),
        found["lastError"] and found["lastError"]["code"],
        _hold(found),
        "yes" if found["shared"] else "no: Redis is away",
    )


def _change(found: Mapping[str, Any]) -> Sequence[object]:
    return (
        *(found[name] for name in ("at", "fromState", "toState", "cause")),
        _span(found["seconds"]),
        found["by"],
        found["reason"],
        _error(found["error"]),
    )


def _rate(found: Mapping[str, Any]) -> str | None:
    return None if found["errorRate"] is None else f"{found['errorRate']:.0%} of {found['calls']}"


def _error(error: Mapping[str, str] | None) -> str | None:
    return None if error is None else f"{error['code']}: {error['message']}"


def _hold(found: Mapping[str, Any]) -> str | None:
    held = found["held"]
    return held and f"by {held['by'] or 'somebody'} for {format_span(held['secondsLeft'])}: {held['reason']}"


def _span(seconds: float | None) -> str | None:
    return f"{seconds:.1f} s" if seconds else None
