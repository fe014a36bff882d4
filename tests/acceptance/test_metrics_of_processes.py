"""What every process tells right after its start, with six agents: alone, and together with the others."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.metrics import AGENT_ERROR_RATE, AGENTS, PIPELINE_METRICS, Metric
from deploy.local.agents_program import CHANNELS
from tests.observed_processes import ROLES, observed_processes
from tests.promtool import findings_of

pytestmark = pytest.mark.process

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

#: Limits of the product: series of one metric, and of one process.
MOST_OF_A_METRIC = 200
MOST_OF_A_PROCESS = 2000

MODES = {"alone": False, "together": True}

PROCESSES = [*product(MODES, ROLES)]

Scrapes = Mapping[tuple[str, str, str], str]


@pytest.fixture(scope="module")
def scrapes(sqlite_template: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Scrapes:
    """Return what each process told first, by mode, role and format."""
    found = {}
    for mode, shared in MODES.items():
        directory = tmp_path_factory.mktemp(mode)
        namespace = {"MARKETPLACE_REDIS__NAMESPACE": f"{{{directory.name}}}"}
        with observed_processes(directory, sqlite_template, redis_url, shared=shared, **namespace) as processes:
            processes.start(*ROLES)
            for role in ROLES:
                found[mode, role, "text"] = processes.scrape(role)
                found[mode, role, "openmetrics"] = processes.scrape(role, OPENMETRICS)
    return found


def families(text: str) -> dict[str, Family]:
    return {family.name: family for family in parse_text(text)}


def labels_of(family: Family) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples}


@pytest.mark.parametrize(("mode", "role"), PROCESSES)
def test_promtool_finds_nothing(scrapes: Scrapes, mode: str, role: str) -> None:
    assert findings_of(scrapes[mode, role, "text"]) == []


@pytest.mark.parametrize(("mode", "role"), PROCESSES)
def test_no_process_has_too_many_series(scrapes: Scrapes, mode: str, role: str) -> None:
    counts = {name: len(family.samples) for name, family in families(scrapes[mode, role, "text"]).items()}
    assert {name: count for name, count in counts.items() if count > MOST_OF_A_METRIC} == {}
    assert 1000 < sum(counts.values()) < MOST_OF_A_PROCESS


@pytest.mark.parametrize(("mode", "role"), PROCESSES)
def test_no_series_names_a_process(scrapes: Scrapes, mode: str, role: str) -> None:
    labels = {
        label
        for family in families(scrapes[mode, role, "text"]).values()
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {label for metric in PIPELINE_METRICS for label in metric.labels} - _of_levels_only(role) | {"le"}


def _of_levels_only(role: str) -> set[str]:
    """Return the labels that a process without levels does not have."""
    told = {label for metric in PIPELINE_METRICS if role == "web" or not metric.level for label in metric.labels}
    return {label for metric in PIPELINE_METRICS for label in metric.labels} - told


@pytest.mark.parametrize(("mode", "role"), PROCESSES)
def test_every_combination_of_the_table_is_there_from_the_start(scrapes: Scrapes, mode: str, role: str) -> None:
    told = families(scrapes[mode, role, "text"])
    for metric in PIPELINE_METRICS:
        if metric.level and role != "web":
            assert metric.name not in told
        # A rate of nothing is left out.
        elif metric is not AGENT_ERROR_RATE:
            found = {
                tuple(sample.labels[name] for name in metric.labels)
                for sample in told[metric.name.removesuffix("_total")].samples
            }
            assert found == combinations(metric), metric.name


def combinations(metric: Metric) -> set[tuple[str, ...]]:
    return set(product(*(CHANNELS if allowed is AGENTS else allowed for allowed in metric.labels.values())))


@pytest.mark.parametrize("role", ROLES)
def test_both_modes_tell_the_same_families_but_for_the_process(scrapes: Scrapes, role: str) -> None:
    alone, together = (families(scrapes[mode, role, "text"]) for mode in MODES)
    assert {name for name in alone if name not in together} == {
        name for name in alone if name.startswith(("process_", "python_"))
    }
    for name, family in together.items():
        assert (family.type, family.documentation) == (alone[name].type, alone[name].documentation)
        assert labels_of(family) == labels_of(alone[name]), name


@pytest.mark.parametrize(("mode", "role"), PROCESSES)
def test_openmetrics_tells_the_same_as_the_text_format(scrapes: Scrapes, mode: str, role: str) -> None:
    told = {family.name: labels_of(family) for family in parse_openmetrics(scrapes[mode, role, "openmetrics"])}
    text = {name: labels_of(family) for name, family in families(scrapes[mode, role, "text"]).items()}
    assert told == text


@pytest.mark.parametrize("role", ROLES)
def test_a_process_alone_tells_its_memory_cpu_time_and_open_files(scrapes: Scrapes, role: str) -> None:
    told = families(scrapes["alone", role, "text"])
    assert told["process_resident_memory_bytes"].samples[0].value > 10_000_000
    assert {"process_cpu_seconds", "process_open_fds", "process_start_time_seconds"} <= told.keys()


def test_the_example_of_the_story_shows_the_names_that_it_lists(scrapes: Scrapes) -> None:
    shown = subprocess.run(
        ["grep", "marketplace_"], input=scrapes["alone", "web", "text"], capture_output=True, text=True, check=True
    ).stdout
    for name in (
        'marketplace_queue_pending_jobs{queue="phase1-tasks"}',
        'marketplace_queue_active_jobs{queue="phase1-tasks"}',
        'marketplace_queue_completed_jobs{queue="phase1-tasks"}',
        'marketplace_queue_failed_jobs{queue="phase1-tasks"}',
        "marketplace_job_duration_seconds_bucket{",
        "marketplace_job_retries_bucket{",
        "# TYPE marketplace_agent_error_rate gauge",
        'marketplace_agent_call_duration_seconds_count{agent="amazon"}',
        'marketplace_circuit_breaker_state{agent="amazon",state="closed"} 1.0',
    ):
        assert f"\n{name}" in f"\n{shown}", name
