"""How many jobs a second one worker process runs, beside what its threads could run if only the agent took time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from deploy.local.agents_program import CHANNELS
from tests.bench.section import Section
from tests.servers import PostgresServer
from tests.sizing.sized_stack import Peaks, SizedStack, sized_stack

#: Jobs for each thread of the worker, and seconds that they take at least: enough that the beginning and the end count
#: for little.
_JOBS_PER_THREAD = 10
_LEAST_SECONDS = 10.0
_PHASE1_JOBS = 1000


@dataclass(frozen=True)
class WorkerRate:
    """Jobs that one worker process ended per second; seconds of CPU time of its process for one.

    `agent_seconds` is the mean time of a call to an agent, as the product measured it; 0 when none was called.
    """

    threads: int
    agent_seconds: float
    jobs: int
    jobs_per_second: float
    cpu_per_job: float
    memory_bytes: int
    database_connections: int

    @property
    def possible(self) -> float | None:
        """Jobs a second if nothing but the agents took time."""
        return self.threads / self.agent_seconds if self.agent_seconds else None


def worker_rates(
    directory: Path, postgres: PostgresServer, *, rounds: Sequence[tuple[int, float]], phase1: int = _PHASE1_JOBS
) -> list[WorkerRate]:
    """Measure one worker, for each number of threads and each latency of its agents in seconds."""
    rates: list[WorkerRate] = []
    for threads in dict.fromkeys(threads for threads, _ in rounds):
        where = directory / f"threads-{threads}"
        where.mkdir()
        settings = {"MARKETPLACE_WORKER__ANALYSIS_THREADS": str(threads), "MARKETPLACE_WORKER__PHASE1_THREADS": "8"}
        with sized_stack(where, postgres, **settings) as sized:
            if not rates:
                rates.append(_phase1_rate(sized, phase1))
            rates += [_analysis_rate(sized, threads, latency) for number, latency in rounds if number == threads]
    return rates


def rate_section(rates: Sequence[WorkerRate]) -> Section:
    """Return the rates beside what would be possible."""
    return Section(
        "worker",
        "Jobs a second of one worker process",
        (
            "Job",
            "Threads",
            "Agent takes",
            "Measured",
            "Threads / latency",
            "Ratio",
            "CPU per job",
            "PSS",
            "Connections to PostgreSQL",
        ),
        [
            (
                "Phase 1 of the plan" if rate.possible is None else "analysis, one agent",
                str(rate.threads),
                f"{rate.agent_seconds:.2f} s" if rate.agent_seconds else "-",
                f"{rate.jobs_per_second:.1f}/s",
                f"{rate.possible:.1f}/s" if rate.possible else "-",
                f"{rate.jobs_per_second / rate.possible:.2f}" if rate.possible else "-",
                f"{rate.cpu_per_job * 1000:.1f} ms",
                f"{rate.memory_bytes / 1024**2:.0f} MB",
                str(rate.database_connections),
            )
            for rate in rates
        ],
        [{**asdict(rate), "possible": rate.possible} for rate in rates],
    )


def _phase1_rate(sized: SizedStack, count: int) -> WorkerRate:
    chance = random.Random(count)
    sized.stack.api.post("queue/pause", {"reason": "to fill it"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _number: sized.approve(sized.import_plan(chance)), range(count)))
    return _worked_off(sized, "phase1", 8, count)


def _analysis_rate(sized: SizedStack, threads: int, seconds: float) -> WorkerRate:
    sized.behave(seconds * 1000)
    sized.stack.api.post("queue/pause", {"reason": "to fill it"})
    with psycopg.connect(sized.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE marketplace_agent_calls")
    count = threads * max(_JOBS_PER_THREAD, round(_LEAST_SECONDS / seconds))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: sized.analyse(number, CHANNELS[number % len(CHANNELS)]), range(count)))
    return _worked_off(sized, "analysis", threads, count)


def _worked_off(sized: SizedStack, kind: str, threads: int, count: int) -> WorkerRate:
    before = sized.cpu()["worker"]
    with Peaks(sized) as peaks:
        sized.stack.api.post("queue/resume", {"reason": "it is full"})
        sized.wait_for_jobs()
    cpu = sized.cpu()["worker"] - before
    with psycopg.connect(sized.database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*), max(completed_at) - min(started_at) FROM (SELECT * FROM marketplace_job_executions"
            " WHERE kind = %s AND status = 'completed' ORDER BY created_at DESC LIMIT %s) AS newest",
            (kind, count),
        ).fetchone()
        calls = connection.execute("SELECT coalesce(avg(seconds), 0) FROM marketplace_agent_calls").fetchone()
    assert row is not None
    assert calls is not None
    assert row[0] == count, f"{row[0]} of {count} jobs have completed"
    return WorkerRate(
        threads=threads,
        agent_seconds=float(calls[0]) if kind == "analysis" else 0.0,
        jobs=count,
        jobs_per_second=count / (row[1] / 1000),
        cpu_per_job=cpu / count,
        memory_bytes=peaks.memory["worker"].proportional,
        database_connections=peaks.connections["worker"][0],
    )
