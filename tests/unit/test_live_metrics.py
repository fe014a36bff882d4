from __future__ import annotations

from itertools import product

import pytest

from app.live_metrics import LiveMetrics
from app.metrics import (
    AGENT_CALLS,
    AGENTS,
    HINTS_SENT,
    JOB_DURATION,
    METRICS,
    PIPELINE_METRICS,
    RELAY_METRICS,
    TASKS_CREATED,
    Metric,
)


@pytest.mark.parametrize("counted", [PIPELINE_METRICS, RELAY_METRICS], ids=["pipeline", "relay"])
def test_every_combination_of_labels_exists_from_the_start(counted: tuple[Metric, ...]) -> None:
    metrics = LiveMetrics(["amazon", "shopee"], counted)
    for metric in counted:
        if metric.level:
            continue
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        values = [("amazon", "shopee") if allowed is AGENTS else allowed for allowed in metric.labels.values()]
        for combination in product(*values):
            labels = dict(zip(metric.labels, combination, strict=True))
            assert metrics.registry.get_sample_value(name, labels) == 0, (name, labels)


def test_the_relay_and_the_pipeline_tell_what_the_other_does_not() -> None:
    assert {metric.name for metric in (*PIPELINE_METRICS, *RELAY_METRICS)} == {metric.name for metric in METRICS}
    assert {metric.name for metric in PIPELINE_METRICS} & {metric.name for metric in RELAY_METRICS} == {
        "marketplace_build_info",
        "marketplace_unexpected_errors_total",
    }


def test_every_name_begins_with_ours_and_stands_in_the_table_once() -> None:
    names = [metric.name for metric in METRICS]
    assert all(name.startswith("marketplace_") for name in names)
    assert len(set(names)) == len(names)
    assert all(metric.name.endswith("_total") == (metric.kind == "counter") for metric in METRICS)


def test_gauges_of_several_processes_become_one_and_levels_are_read_once() -> None:
    assert {m.name for m in METRICS if m.together} == {m.name for m in METRICS if m.kind == "gauge" and not m.level}
    assert all(metric.kind == "gauge" for metric in METRICS if metric.level)


def test_latency_buckets_hold_those_that_the_stories_name() -> None:
    assert {0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0} <= set(JOB_DURATION.buckets)


def test_a_value_outside_a_closed_set_is_a_defect() -> None:
    metrics = LiveMetrics()
    with pytest.raises(ValueError, match="no value of label sender"):
        metrics.count(HINTS_SENT, sender="nobody", outcome="sent")


def test_an_unknown_error_code_is_counted_as_other() -> None:
    metrics = LiveMetrics(agents=["amazon"])
    metrics.count(AGENT_CALLS, agent="amazon", outcome="something new")
    sample = metrics.registry.get_sample_value("marketplace_agent_calls_total", {"agent": "amazon", "outcome": "other"})
    assert sample == 1


def test_counters_count_by_the_amount_given() -> None:
    metrics = LiveMetrics()
    metrics.count(TASKS_CREATED, 5, source="plan")
    assert metrics.registry.get_sample_value("marketplace_tasks_created_total", {"source": "plan"}) == 5
