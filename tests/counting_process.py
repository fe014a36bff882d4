"""Processes that count into one directory, and wait to be ended: `python -m tests.counting_process AGENT...`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.live_metrics import LiveMetrics
from app.metrics import AGENT_DURATION, BUILD_INFO, JOBS_ENQUEUED, WORKER_THREADS
from app.shared_metrics import DIRECTORY_VARIABLE
from tests.servers import end
from tests.web_process import environment

AGENTS = ("amazon", "shopee")


def main() -> None:
    metrics = LiveMetrics(agents=sys.argv[1:])
    metrics.count(JOBS_ENQUEUED, 2, kind="phase1")
    metrics.set(WORKER_THREADS, 3, kind="phase1", role="worker")
    metrics.set(BUILD_INFO, 1, version=BUILD_INFO.labels["version"][0])
    for agent in sys.argv[1:]:
        metrics.observe(AGENT_DURATION, 0.3, agent=agent)
        metrics.observe(AGENT_DURATION, 70, agent=agent)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextmanager
def counting_processes(directory: Path, *agents: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield one process for each of these lists of agents, when it has counted."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.counting_process", *names],
            cwd=Path(__file__).parents[1],
            env=environment(**{DIRECTORY_VARIABLE: str(directory)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for names in agents
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        yield processes
    finally:
        for process in processes:
            end(process)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


if __name__ == "__main__":
    main()
