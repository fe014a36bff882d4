"""Processes that count into one directory: what is told of them together, and what stays of those that died."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from app.domain.errors import ConfigurationError
from app.shared_metrics import DIRECTORY_VARIABLE, SharedMetrics, empty_directory, shared_directory
from tests.counting_process import AGENTS, counting_processes
from tests.servers import ended
from tests.web_process import MARKETPLACE, environment


@pytest.fixture
def together(tmp_path: Path) -> Iterator[SharedMetrics]:
    """Return what tells of all processes of the directory."""
    with closing(SharedMetrics(tmp_path)) as together:
        yield together


Told = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def told(families: Iterable[Family]) -> Told:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Told, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def test_the_sum_is_the_one_that_the_library_tells(together: SharedMetrics, tmp_path: Path) -> None:
    with counting_processes(tmp_path, AGENTS, AGENTS, ("kaway", "amazon")):
        ours = list(together.collect())
        theirs = list(MultiProcessCollector(None, str(tmp_path)).collect())
    assert told(ours) == told(theirs)
    assert {(f.name, f.type, f.documentation) for f in ours} == {(f.name, f.type, f.documentation) for f in theirs}


def test_what_is_told_has_the_order_of_buckets_that_prometheus_expects(together: SharedMetrics, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(together)
    with counting_processes(tmp_path, AGENTS):
        text = generate_latest(registry).decode()
    [family] = [f for f in text_string_to_metric_families(text) if f.name == "marketplace_agent_call_duration_seconds"]
    found = [(s.labels.get("le"), s.value) for s in family.samples if s.labels["agent"] == "amazon"]
    assert found[-5:] == [("60.0", 1), ("120.0", 2), ("+Inf", 2), (None, 2), (None, pytest.approx(70.3))]


def test_counters_of_a_killed_process_stay_and_its_gauges_go(together: SharedMetrics, tmp_path: Path) -> None:
    with counting_processes(tmp_path, AGENTS, AGENTS) as (first, second):
        before = told(together.collect())
        first.kill()
        first.wait()
        after = told(together.collect())
        second.kill()
        second.wait()
        at_the_end = told(together.collect())
    enqueued = [value(found, "marketplace_jobs_enqueued_total", kind="phase1") for found in (before, after, at_the_end)]
    threads = [
        value(found, "marketplace_worker_threads", kind="phase1", role="worker")
        for found in (before, after, at_the_end)
    ]
    assert enqueued == [4, 4, 4]
    assert threads == [6, 3, None]
    [version] = [labels for name, labels in before if name == "marketplace_build_info"]
    assert (before["marketplace_build_info", version], after["marketplace_build_info", version]) == (1, 1)


def test_a_process_id_that_another_program_has_now_keeps_no_gauges(together: SharedMetrics, tmp_path: Path) -> None:
    with counting_processes(tmp_path, AGENTS) as (process,):
        process.kill()
        process.wait()
    with ended(subprocess.Popen(["sleep", "60"])) as other:
        for path in tmp_path.glob(f"gauge_live*_{process.pid}.db"):
            path.rename(path.with_name(path.name.replace(str(process.pid), str(other.pid))))
        assert list(tmp_path.glob(f"gauge_live*_{other.pid}.db"))
        found = told(together.collect())
        assert other.poll() is None
    assert not [name for name, _ in found if name == "marketplace_worker_threads"]


def test_a_process_with_the_id_of_a_dead_one_begins_without_its_gauges(tmp_path: Path) -> None:
    with counting_processes(tmp_path, AGENTS) as (process,):
        process.kill()
        process.wait()
    for path in tmp_path.glob(f"gauge_live*_{process.pid}.db"):
        path.rename(path.with_name(path.name.replace(str(process.pid), str(os.getpid()))))
    SharedMetrics(tmp_path).close()
    assert not list(tmp_path.glob("gauge_live*"))
    assert list(tmp_path.glob("counter_*.db"))


def test_two_processes_with_one_id_are_not_mixed_up(
    together: SharedMetrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.shared_metrics._LOOK_SECONDS", 0.05)
    with pytest.raises(ConfigurationError, match="containers need a directory each"):
        SharedMetrics(tmp_path)
    assert list(together.collect()) == []


def test_a_process_that_has_just_begun_is_told_from_its_next_scrape_on(together: SharedMetrics, tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "histogram_1.db").write_bytes(bytes(65536))
    assert list(together.collect()) == []


@pytest.mark.parametrize("given", ["", "/nowhere/at/all", "/proc", __file__], ids=["empty", "missing", "full", "file"])
@pytest.mark.parametrize("command", ["web", "worker", "scheduler"])
def test_a_directory_that_cannot_be_used_stops_the_start(command: str, given: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [MARKETPLACE, command],
        env=environment(**{DIRECTORY_VARIABLE: given, "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode not in {0, 1}
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count(DIRECTORY_VARIABLE) == 1


def test_without_the_variable_a_process_keeps_its_metrics_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    assert shared_directory() is None


def test_whoever_starts_the_processes_empties_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there"
    empty_directory(directory)
    with counting_processes(directory, AGENTS):
        with pytest.raises(ConfigurationError, match="other processes count into this directory"):
            empty_directory(directory)
        assert list(directory.glob("counter_*.db"))
    empty_directory(directory)
    assert list(directory.iterdir()) == []
