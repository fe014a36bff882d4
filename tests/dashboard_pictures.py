"""`make dashboard-pictures`: every dashboard as one picture under docs/pictures/, drawn from a real run.

The run: the story of the demo, some minutes of steady load, and in the middle of it an agent that dies and heals.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import click

from deploy.local.agents_program import CHANNELS
from deploy.local.simulations import SimulatedAgents
from tests.quiet.steady_load import SteadyLoad
from tests.seed_load import everything_happens
from tests.stacks import marketplace, running_stack

_PICTURES = Path("docs/pictures")
#: Short enough for the story, long enough for circuits that do not flap.
_OPEN_SECONDS = "25"


@click.command
@click.option("--minutes", default=4.0, show_default=True, help="How long the steady load lasts.")
def pictures(*, minutes: float) -> None:
    """Run the stack, load it, draw."""
    settings = {
        "MARKETPLACE_MONITORING__SCRAPE_SECONDS": "1",
        "MARKETPLACE_BREAKERS__OPEN_SECONDS": _OPEN_SECONDS,
    }
    with (
        tempfile.TemporaryDirectory(prefix="marketplace-pictures-") as name,
        running_stack(Path(name), "--observe", **settings) as stack,
    ):
        everything_happens(stack)
        agents = SimulatedAgents(stack.facts["urls"]["agents"])
        third = minutes * 60 / 3
        for mode in ("healthy", "dead", "healthy"):
            agents.behave(CHANNELS[-1], mode=mode)
            SteadyLoad(stack, per_second=4, seconds=third).run(threading.Event())
        drawn = marketplace(
            *("dashboards", "render", "--output", name, "--svg", "--theme", "light"),
            *("--from", f"{round(minutes) + 2}m", "--scrape-interval", "1s"),
            cwd=stack.directory,
        )
        if drawn.returncode:
            raise click.ClickException(drawn.stderr)
        for picture in sorted(Path(name).glob("*.svg")):
            target = _PICTURES / f"dashboard-{picture.name}"
            target.write_bytes(picture.read_bytes())
            click.echo(f"{target} {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    pictures()
