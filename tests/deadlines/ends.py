"""How calls to hostile servers end, judged, and as a report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from tests.bench.bench_report import machine
from tests.deadlines.hostile_servers import SERVERS, Hostile

#: A call may end so long after its deadline, in seconds, and take so much memory, in bytes: an answer may have 2 MB,
#: and JSON of that size several times as much as a tree.
MOST_LATE = 0.3
MOST_BYTES = 64 * 1024 * 1024

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class End:
    """How one call ended; `growth_bytes` is the most memory that it took beside its request."""

    name: str
    title: str
    expected: str
    error: str | None
    given: float
    seconds: float
    growth_bytes: int

    def missed(self, *, late: float = MOST_LATE) -> list[str]:
        """Return what is wrong, in words."""
        found = []
        if self.error != self.expected:
            found.append(f"{self.name}: {self.error or 'no error'}, {self.expected} expected")
        if self.seconds > self.given + late:
            found.append(f"{self.name}: ended {self.seconds - self.given:.2f} s after the deadline")
        if self.growth_bytes > MOST_BYTES:
            found.append(f"{self.name}: took {self.growth_bytes / 2**20:.0f} MB")
        return found


def ends(directory: Path, *, seconds: float, servers: Sequence[Hostile] = SERVERS) -> list[End]:
    """Call each server once, from one process of its own, with this time for each call."""
    with ExitStack() as running:
        calls = []
        for server in servers:
            url, authority = running.enter_context(server.running())
            path = None
            if authority is not None:
                path = directory / f"{server.name}.pem"
                path.write_text(authority)
            calls.append(
                {
                    "name": server.name,
                    "url": url,
                    "seconds": seconds,
                    "authority": None if path is None else str(path),
                    "resolves": server.resolves,
                    "long_question": server.long_question,
                }
            )
        caller = subprocess.run(
            [sys.executable, "-m", "tests.deadlines.caller"],
            cwd=_ROOT,
            input=json.dumps(calls),
            capture_output=True,
            text=True,
            timeout=60 + 10 * seconds * len(servers),
            check=False,
        )
    if caller.returncode:
        raise AssertionError(caller.stderr)
    told = {found["name"]: found for found in map(json.loads, caller.stdout.splitlines())}
    return [
        End(title=server.title, expected=server.expected.__name__, given=seconds, **told[server.name])
        for server in servers
    ]


def markdown(started_at: datetime, found: Sequence[End]) -> str:
    """Return the report as a page."""
    missed = [what for end in found for what in end.missed()]
    return "\n".join(
        [
            f"# Deadlines of {started_at:%Y-%m-%d %H:%M} UTC",
            "",
            machine(),
            "",
            "Every call ended in time, as it must." if not missed else "Missed: " + "; ".join(missed) + ".",
            "",
            "| The agent | Deadline | Ended after | With | Memory |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {end.title} | {end.given:g} s | {end.seconds:.3f} s | `{end.error}` "
                f"| {end.growth_bytes / 2**20:.1f} MB |"
                for end in found
            ),
            "",
        ]
    )


def write_report(started_at: datetime, found: Sequence[End], directory: Path) -> Path:
    """Write the report as Markdown and JSON, and return the path of the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"deadlines-{started_at:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(started_at, found), encoding="utf-8")
    figures = [asdict(end) | {"missed": end.missed()} for end in found]
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path
