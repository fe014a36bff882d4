"""Expressions can only name what the tables have."""

import pytest

from app.domain.objectives import JOB_LATENCY_SECONDS, QUEUE_DEPTH
from app.metrics import (
    AGENT_CALLS,
    DEPTH_AT_ENQUEUE,
    JOB_LATENCY,
    JOBS_ENQUEUED,
    QUEUE_PENDING,
    REDIS_UP,
    WORKER_THREADS,
)
from app.promql import edge, increase, lasting, level, named_metrics, one_of, quantile, rate, select, sum_by
from app.recorded_series import DRAIN_TIME, error_ratio


def test_it_selects_by_labels_of_the_metric_and_of_the_target() -> None:
    selected = select(AGENT_CALLS, agent="=~$agent", outcome="!=ok", environment='say "hi"\\')
    assert selected == ('marketplace_agent_calls_total{agent=~"$agent",outcome!="ok",environment="say \\"hi\\"\\\\"}')


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"queue": "phase1"}, "'phase1' is no value of label queue"),
        ({"queue": "!=phase1"}, "'phase1' is no value of label queue"),
        ({"agent": "amazon"}, "has no label agent"),
        ({"le": "5.0"}, "has no label le"),
    ],
)
def test_it_refuses_labels_and_values_that_the_table_does_not_have(labels: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        select(QUEUE_PENDING, **labels)


def test_parts_belong_to_histograms_only() -> None:
    with pytest.raises(ValueError, match="is a histogram"):
        select(JOB_LATENCY)
    with pytest.raises(ValueError, match="no series ends in '_count'"):
        select(QUEUE_PENDING, "_count")


def test_bounds_are_written_as_the_client_writes_them() -> None:
    assert edge(JOB_LATENCY, JOB_LATENCY_SECONDS) == "5.0"
    assert edge(DEPTH_AT_ENQUEUE, QUEUE_DEPTH) == "50.0"
    assert select(JOB_LATENCY, "_bucket", le="+Inf").endswith('{le="+Inf"}')
    with pytest.raises(ValueError, match="'5' is no value of label le"):
        select(JOB_LATENCY, "_bucket", le="5")
    with pytest.raises(ValueError, match=r"no bucket up to 7\.0"):
        edge(JOB_LATENCY, 7.0)


def test_only_counters_and_histograms_grow() -> None:
    assert rate(JOBS_ENQUEUED, "5m", kind="phase1") == 'rate(marketplace_jobs_enqueued_total{kind="phase1"}[5m])'
    assert increase(JOB_LATENCY, "1h", "_count") == "increase(marketplace_job_completion_seconds_count[1h])"
    for gauge in (QUEUE_PENDING, WORKER_THREADS, DRAIN_TIME):
        with pytest.raises(ValueError, match="is no counter"):
            rate(gauge, "5m")


def test_a_level_is_never_summed() -> None:
    assert level(REDIS_UP) == "max by (environment) (marketplace_redis_up)"
    with pytest.raises(ValueError, match="is no level"):
        level(WORKER_THREADS)


def test_a_quantile_keeps_the_bounds() -> None:
    assert quantile(0.99, JOB_LATENCY, "5m", ["kind"]) == (
        "histogram_quantile(0.99, sum by (kind, le) (rate(marketplace_job_completion_seconds_bucket[5m])))"
    )


def test_recorded_series_are_selected_like_metrics() -> None:
    assert sum_by(["slo"], select(error_ratio("1h"), slo="availability")) == (
        'sum by (slo) (slo:error_ratio:rate1h{slo="availability"})'
    )


def test_listed_values_are_checked_one_by_one() -> None:
    assert select(QUEUE_PENDING, queue=one_of("analysis", "phase1-tasks")).endswith('{queue=~"analysis|phase1-tasks"}')
    with pytest.raises(ValueError, match="is no value of label queue"):
        select(QUEUE_PENDING, queue=one_of("analysis", "phase1"))
    with pytest.raises(ValueError, match="is no value of label queue"):
        select(QUEUE_PENDING, queue="!~phase1")


def test_only_levels_last() -> None:
    assert lasting(REDIS_UP, "5m") == "max by (environment) (max_over_time(marketplace_redis_up[5m]))"
    with pytest.raises(ValueError, match="is no level"):
        lasting(WORKER_THREADS, "5m")


def test_names_are_found_whole() -> None:
    assert named_metrics(['rate(marketplace_job_retries_count{kind="phase1"}[5m]) / marketplace_redis_up_other']) == {
        "marketplace_job_retries"
    }
