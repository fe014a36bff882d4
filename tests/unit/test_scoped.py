from __future__ import annotations

import pytest

from app.metrics import AGENT_CALLS, JOB_DURATION, QUEUE_PENDING, WORKER_THREADS
from app.recorded_series import SLO_TARGET
from monitoring.foreign_metrics import FIRING
from monitoring.panels.scoped import grown, level_now, level_total, mean_of, named_groups, per_second, series, total


def test_what_the_reader_has_chosen_narrows_every_series_that_has_the_label() -> None:
    assert series(QUEUE_PENDING) == 'marketplace_queue_pending_jobs{environment=~"$environment",queue=~"$queue"}'
    assert series(AGENT_CALLS, outcome="ok") == (
        'marketplace_agent_calls_total{environment=~"$environment",agent=~"$agent",outcome="ok"}'
    )
    assert series(SLO_TARGET) == 'slo:target:ratio{environment=~"$environment"}'


def test_an_alert_on_what_is_absent_is_of_every_environment() -> None:
    assert series(FIRING) == 'ALERTS{environment=~"$environment|"}'


def test_a_rate_follows_the_zoom_and_an_increase_the_chosen_time() -> None:
    assert "[$__rate_interval]" in per_second((), AGENT_CALLS)
    assert "[$__range]" in grown((), AGENT_CALLS)


def test_a_level_is_taken_once_before_it_is_added_up() -> None:
    taken = level_now(("queue",), QUEUE_PENDING)
    assert taken.startswith("max by (environment, queue)")
    assert level_total((), QUEUE_PENDING) == f"sum by (environment) ({taken})"


def test_a_level_is_no_gauge_of_a_process() -> None:
    assert total(("kind",), WORKER_THREADS).startswith("sum by (environment, kind)")
    with pytest.raises(ValueError, match="is a level"):
        total((), QUEUE_PENDING)


def test_a_mean_is_the_sum_by_the_count() -> None:
    above, below = mean_of(("kind",), JOB_DURATION, outcome="completed").split(" / ")
    assert "_sum{" in above
    assert "_count{" in below
    assert above.replace("_sum{", "_count{") == below


def test_a_group_of_rules_is_named_without_its_file() -> None:
    assert named_groups("up") == 'label_replace(up, "group", "$1", "rule_group", ".*;(.*)")'
