"""`marketplace demo`: a fresh stack, a story told on it with visible progress, a summary, and everything stopped."""

from __future__ import annotations

import re
import threading
import time
import traceback
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.output import readable
from app.cli.remote import Remote
from app.domain.errors import MarketplaceError
from app.settings import Settings
from deploy.local.run_file import DataDirectory, as_typed
from deploy.local.running import run_stack
from deploy.local.simulations import SimulatedAgents, SlackInbox
from deploy.local.stack import Stack
from deploy.local.story import Story, StoryError
from deploy.local.supervisor import StopRequest

_JOIN_SECONDS = 10.0
#: Columns of the picture, and of lines that go to no terminal.
_WIDTH = 110


class Demo:
    """One telling of the story, in a directory that the caller holds.

    The supervisor has the main thread, for signals arrive there; the story has one of its own.
    """

    def __init__(self, settings: Settings, data: DataDirectory, console: Console, request: StopRequest) -> None:
        self._settings = settings
        self._data = data
        self._console = console
        self._request = request
        self._started_at = time.monotonic()
        self._thread: threading.Thread | None = None
        self._story: Story | None = None
        self._ready_seconds = 0.0
        self._failure: str | None = None
        self._is_told = False

    def run(self) -> dict[str, Any] | None:
        """Start a fresh stack, tell the story, stop the stack, and return the summary as camelCase JSON.

        Returns None when the user has asked to stop before the story had ended.

        Raises:
            StoryError: A step did not show what it names.
            MarketplaceError: The stack could not start, or broke down.
        """
        self._console.print(f"marketplace {version('marketplace-resilience')}: a fresh stack in {self._place()}")
        self._data.clear()
        run_stack(
            self._settings,
            self._data,
            request=self._request,
            say=self._say,
            on_ready=lambda stack, _: self._begin(stack),
        )
        if self._thread:
            self._thread.join(_JOIN_SECONDS)
        if self._failure is not None and self._is_told:
            raise StoryError(f"{self._failure}\nThe logs of the processes are in {self._place()}/logs.")
        return self._summary(self._story) if self._is_told and self._story else None

    def _place(self) -> str:
        return as_typed(self._data.path)

    def _say(self, text: str) -> None:
        self._console.print(f"      {text}", style="dim", markup=False)

    def _begin(self, stack: Stack) -> None:
        self._ready_seconds = time.monotonic() - self._started_at
        self._step_done("The stack is up", f"on {stack.urls['web']}, after {self._ready_seconds:.1f} s")
        for purpose, port in stack.ports.moved():
            self._say(f"{purpose}: port {port.number}, for {port.moved}")
        api = Remote(stack.urls["web"], self._data.admin_token.read_text(encoding="ascii").strip(), direct=True)
        self._story = Story(
            api,
            SimulatedAgents(stack.urls["agents"]),
            SlackInbox(stack.urls["inbox"]),
            started_at=self._started_at,
            is_interrupted=lambda: self._request.is_made,
        )
        self._thread = threading.Thread(target=self._tell, args=(self._story,), daemon=True)
        self._thread.start()

    def _tell(self, story: Story) -> None:
        title = ""
        try:
            for step in story.steps():
                title = step.title
                # A picture would keep every turn of the spinner.
                with nullcontext() if self._console.record else self._console.status(title):
                    detail = step.run()
                self._step_done(title, detail)
        except MarketplaceError as error:
            self._failure = f"{title}: {error}"
        except Exception:  # noqa: BLE001 -- the edge of the thread: the demo must end, and say why
            self._failure = f"{title}:\n{traceback.format_exc()}"
        finally:
            # What fails after a request to stop fails because everything stops; asked twice, it would not wait.
            self._is_told = not self._request.is_made
            if self._is_told:
                self._request()

    def _step_done(self, title: str, detail: str) -> None:
        self._console.print("  [green]ok[/green]  ", end="")
        self._console.print(f"{title}: {detail}", markup=False)

    def _summary(self, story: Story) -> dict[str, Any]:
        figures = story.figures
        assert figures is not None  # noqa: S101 -- the last step of the story has set it
        return {
            "agentsCalled": len(story.agents_called),
            "answersMended": story.answers_mended,
            "plansApproved": figures.plans_approved,
            "jobs": dict(figures.jobs),
            "retries": figures.retries,
            "tasksBySource": dict(figures.tasks),
            "taskExamples": dict(figures.examples),
            "deadLettersRetried": story.letters_retried,
            "circuitOpenSeconds": round(story.circuit_open_seconds, 1),
            "slackMessages": story.messages,
            "toldAfterSeconds": {kind: round(seconds, 2) for kind, seconds in story.told_after_seconds.items()},
            "approveToCompletedMs": {"p50": round(figures.p50_ms, 1), "p99": round(figures.p99_ms, 1)},
            "lost": figures.lost,
            "duplicated": figures.duplicated,
            "stackReadySeconds": round(self._ready_seconds, 2),
            "firstJobSeconds": round(story.first_job_seconds, 2),
            "totalSeconds": round(time.monotonic() - self._started_at, 2),
        }


def demo_console(*, to_stderr: bool, picture: Path | None) -> Console:
    """Return where the story is told; what goes to no terminal is plain lines."""
    console = Console(stderr=to_stderr, highlight=False, record=picture is not None)
    if picture or not console.is_terminal:
        console.width = _WIDTH
    return console


def print_summary(console: Console, summary: dict[str, Any]) -> None:
    """Print a task of each source, and the figures."""
    tasks = Table("Source", "Channel", "Task", "Review", box=box.ROUNDED, title="One task of each source")
    for source, task in sorted(summary["taskExamples"].items()):
        review = "needed" if task["needsReview"] else ""
        tasks.add_row(source, *(Text(readable(text)) for text in (task["channel"], task["title"])), review)
    console.print(tasks)
    latency = summary["approveToCompletedMs"]
    table = Table(box=box.ROUNDED, show_header=False)
    for name, value in (
        ("Agents called", summary["agentsCalled"]),
        ("Answers without phase numbers, mended", summary["answersMended"]),
        ("Plans approved", summary["plansApproved"]),
        ("Jobs", _counts(summary["jobs"])),
        ("Retries", summary["retries"]),
        ("Tasks by source", _counts(summary["tasksBySource"])),
        ("Dead letters retried with success", summary["deadLettersRetried"]),
        ("Circuit of the dead agent", f"open, closed by itself after {summary['circuitOpenSeconds']:.1f} s"),
        ("Messages in Slack", f"{summary['slackMessages']}: {_times(summary['toldAfterSeconds'])}"),
        ("Approved to completed", f"p50 {latency['p50']:.0f} ms, p99 {latency['p99']:.0f} ms"),
        ("Lost", summary["lost"]),
        ("Duplicated", summary["duplicated"]),
        ("First job finished after", f"{summary['firstJobSeconds']:.1f} s"),
        ("Whole demo", f"{summary['totalSeconds']:.1f} s"),
    ):
        table.add_row(name, str(value))
    console.print(table)


def save_picture(console: Console, path: Path) -> None:
    """Write what was printed as an SVG that loads nothing from elsewhere."""
    picture = console.export_svg(title="make demo", unique_id="demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(re.sub(r"@font-face\s*{[^}]*}", "", picture), encoding="utf-8")


def _times(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} after {value:.1f} s" for name, value in seconds.items())


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
