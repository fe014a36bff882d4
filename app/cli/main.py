"""The `marketplace` command: finds its commands by entry point, and turns errors into exit codes.

A command's module is imported when the command runs, not to list it: `marketplace --help` stays fast, and `app`
imports none of the packages above it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import click

from app.cli.exit_codes import ExitCode, exit_code_of
from app.domain.errors import MarketplaceError

ENTRY_POINT_GROUP = "marketplace.commands"

#: What `marketplace --help` says of each command, in the order of a first use.
SUMMARIES: dict[str, dict[str, str]] = {
    "One machine": {
        "demo": "Start a fresh stack, play a story on it, print what happened.",
        "run": "Start the whole stack and keep it running.",
        "status": "Tell where the running stack is and whether its processes live.",
        "stop": "Stop the running stack; jobs in flight finish first.",
        "doctor": "Check this machine and its settings; name a fix for each problem.",
    },
    "Work": {
        "plans": "List, show, approve and reject plans.",
        "queue": "Show, pause, resume, drain and archive the queues.",
        "mode": "Show or change how the jobs of approved plans are run.",
        "jobs": "List, show, watch and retry jobs.",
        "dead-letters": "List, show, retry, discard and export dead letters.",
        "breakers": "Show, open, close and reset the circuits of the agents.",
        "dashboards": "List the dashboards, and draw them without Grafana.",
    },
    "Administration": {
        "config": "Show and check the settings.",
        "db": "Bring the database to the schema of this version.",
        "verify": "Check an installation by approving a plan.",
        "tokens": "Create, list and revoke API tokens.",
        "rules": "Show or write the rules of Prometheus and Alertmanager.",
    },
    "Processes, one each": {
        "web": "Serve the API.",
        "worker": "Run jobs.",
        "scheduler": "Bring back lost jobs and deliver events.",
        "relay": "Send alerts and events to Slack.",
        "health": "Ask the process of this container how it is.",
    },
}

_EXAMPLES = """\b
Examples:
  marketplace demo
  marketplace run
  marketplace plans list --status awaiting_approval
  marketplace plans approve PLAN_ID --wait
  marketplace jobs list --json

Plans and jobs are those of the stack that `marketplace run` started in this directory, or of the one that
MARKETPLACE_URL names, with the token in MARKETPLACE_TOKEN or in the file that MARKETPLACE_TOKEN_FILE names.

\b
Exit codes:
  0 ok              4 not allowed
  1 failed          5 a dependency is unreachable
  2 usage           6 a check found problems
  3 not found       130 interrupted
"""


@cache
def _commands() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


class _EntryPointGroup(click.Group):
    """A group whose commands are entry points, imported only to run them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return [name for section in SUMMARIES.values() for name in section if name in _commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        point = _commands().get(cmd_name)
        if point is None:
            return None
        command = point.load()
        assert isinstance(command, click.Command)  # noqa: S101 -- what the entry point group is for
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = self.list_commands(ctx)
        for title, section in SUMMARIES.items():
            rows = [(name, summary) for name, summary in section.items() if name in listed]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.command(
    cls=_EntryPointGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=_EXAMPLES,
)
@click.version_option(package_name="marketplace-resilience", prog_name="marketplace")
def marketplace() -> None:
    """Turn approved marketplace analyses into tasks, and see every plan that does not get there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of `ExitCode`; errors are one readable text on standard error."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = marketplace.main(arguments, prog_name="marketplace", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as in `marketplace jobs list | head -1`; Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except MarketplaceError as error:
        click.echo(f"error: {error}", err=True)
        return exit_code_of(error)
    return code if isinstance(code, int) else ExitCode.OK


if __name__ == "__main__":
    main()
