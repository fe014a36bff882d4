"""What a scrape costs, of one process and of 16 that count into one directory; as a module it is such a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median

import requests
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from app.live_metrics import LiveMetrics
from app.metrics import AGENTS, PIPELINE_METRICS, Metric
from app.shared_metrics import DIRECTORY_VARIABLE, empty_directory
from deploy.local.agents_program import CHANNELS
from tests.bench.section import Section, milliseconds
from tests.servers import end
from worker.probes import serve_probes

#: Worker processes of one machine, and what a scrape of all of them may take at the median, in seconds.
PROCESSES = 16
SCRAPE_SECONDS = 0.020

_ONE = "one process"
_ALL = f"{PROCESSES} processes"
_BY_LIBRARY = f"{PROCESSES} processes, and one more that tells them by the library's own collector"

#: Lets a process do that.
_LIBRARY = "library"


@dataclass(frozen=True)
class ScrapeCost:
    """Seconds that scrapes took, and how many series one told."""

    p50: float
    most: float
    series: int


def scrape_costs(directory: Path, *, count: int) -> dict[str, ScrapeCost]:
    """Scrape the endpoint of a worker so often, alone and with 15 others that count as it does; by what was scraped."""
    costs = {}
    with _counting(1, None) as urls:
        costs[_ONE] = _cost(urls[0], count)
    empty_directory(directory)
    with _counting(PROCESSES, directory) as urls:
        costs[_ALL] = _cost(urls[0], count)
        with _counting(1, directory, _LIBRARY) as by_library:
            costs[_BY_LIBRARY] = _cost(by_library[0], count)
    return costs


def scrape_section(costs: dict[str, ScrapeCost], *, count: int) -> Section:
    """Return what a scrape costs."""
    found = costs[_ALL]
    missed = (
        f"a scrape of {PROCESSES} processes took {milliseconds(found.p50)},"
        f" at most {milliseconds(SCRAPE_SECONDS)} expected"
    )
    return Section(
        "scrape",
        f"A scrape of a worker's metrics, {count} times",
        ("Scraped", "Series", "p50", "max"),
        [(name, f"{cost.series:,}", milliseconds(cost.p50), milliseconds(cost.most)) for name, cost in costs.items()],
        {name: asdict(cost) for name, cost in costs.items()},
        [missed] if found.p50 > SCRAPE_SECONDS else [],
    )


def _cost(url: str, count: int) -> ScrapeCost:
    with requests.Session() as session:
        text = session.get(url, timeout=10).text
        seconds = [_timed(session, url) for _ in range(count)]
    series = sum(not line.startswith("#") for line in text.splitlines())
    return ScrapeCost(median(seconds), max(seconds), series)


def _timed(session: requests.Session, url: str) -> float:
    started = time.perf_counter()
    session.get(url, timeout=10).raise_for_status()
    return time.perf_counter() - started


@contextmanager
def _counting(count: int, directory: Path | None, *arguments: str) -> Iterator[Sequence[str]]:
    """Yield the URLs of so many processes that have counted everything once."""
    environment = {name: value for name, value in os.environ.items() if name != DIRECTORY_VARIABLE}
    if directory is not None:
        environment[DIRECTORY_VARIABLE] = str(directory)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.scrape", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(count)
    ]
    try:
        ports = []
        for process in processes:
            assert process.stdout is not None
            ports.append(int(process.stdout.readline()))
        yield [f"http://127.0.0.1:{port}/metrics" for port in ports]
    finally:
        for process in processes:
            end(process)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def _count(metrics: LiveMetrics, metric: Metric, labels: dict[str, str]) -> None:
    match metric.kind:
        case "counter":
            metrics.count(metric, 1.0, **labels)
        case "gauge":
            metrics.set(metric, 1.0, **labels)
        case "histogram":
            metrics.observe(metric, 1.0, job_id=None, **labels)


def main() -> None:
    """Count everything once, tell the port of the endpoint, and wait until nobody needs it any more."""
    metrics = LiveMetrics(agents=CHANNELS)
    for metric in PIPELINE_METRICS:
        if not metric.level:
            values = (CHANNELS if allowed is AGENTS else allowed for allowed in metric.labels.values())
            for combination in product(*values):
                _count(metrics, metric, dict(zip(metric.labels, combination, strict=True)))
    registry = metrics.registry
    if _LIBRARY in sys.argv:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    sys.stdout.write(f"{serve_probes('127.0.0.1', 0, registry, list).server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
