"""What recording rules make of counters and levels: as Prometheus itself evaluates them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from app.settings.monitoring import MonitoringSettings
from deploy.artifacts.rule_documents import RECORDING_FILE, documents
from monitoring.recording_rules import recording_groups
from tests.prometheus_tools import promtool

_SETTINGS = MonitoringSettings(retention_hours=168)

_PENDING = 'marketplace_queue_pending_jobs{environment="test",queue="phase1-tasks"}'
_ENQUEUED = 'marketplace_jobs_enqueued_total{environment="test",kind="phase1"}'
_COMPLETED = 'marketplace_job_retries_count{environment="test",kind="phase1",outcome="completed"}'
_FAILED = 'marketplace_job_retries_count{environment="test",kind="phase1",outcome="failed"}'
_DONE = 'marketplace_job_completion_seconds_count{environment="test",kind="phase1"}'
_IN_TIME = 'marketplace_job_completion_seconds_bucket{environment="test",kind="phase1",le="5.0"}'
_OK = 'marketplace_http_request_duration_seconds_count{environment="test",method="GET",status="2xx"}'
_BROKEN = 'marketplace_http_request_duration_seconds_count{environment="test",method="GET",status="5xx"}'
_ACTIVE = 'marketplace_queue_active_jobs{environment="test",queue="phase1-tasks"}'
_THREADS = 'marketplace_worker_threads{environment="test",role="worker",instance="a",kind="phase1"}'
_BUILD = 'marketplace_build_info{environment="test",version="1"}'

_DRAIN = 'queue:drain_seconds:estimate{environment="test",queue="phase1-tasks"}'
_BUSY = 'kind:worker_threads_busy:ratio{environment="test",kind="phase1"}'


def _slo(name: str, slo: str) -> str:
    return f'{name}{{environment="test",slo="{slo}"}}'


#: What is measured, and which series then has which value after 10 minutes; None when there is none.
CASES: dict[str, tuple[dict[str, str], str, float | None]] = {
    "an empty queue takes no time": ({_PENDING: "0x20", _ENQUEUED: "0+60x20", _COMPLETED: "0+60x20"}, _DRAIN, 0),
    "an empty queue takes no time, even when more comes": (
        {_PENDING: "0x20", _ENQUEUED: "0+90x20", _COMPLETED: "0+60x20"},
        _DRAIN,
        0,
    ),
    "a queue takes its depth by what it shrinks": (
        {_PENDING: "100x20", _ENQUEUED: "0+60x20", _COMPLETED: "0+120x20"},
        _DRAIN,
        100,
    ),
    "failed jobs leave the queue too": (
        {_PENDING: "100x20", _ENQUEUED: "0+60x20", _COMPLETED: "0+60x20", _FAILED: "0+60x20"},
        _DRAIN,
        100,
    ),
    "a queue that grows never ends": (
        {_PENDING: "100x20", _ENQUEUED: "0+120x20", _COMPLETED: "0+60x20"},
        _DRAIN,
        float("inf"),
    ),
    "no jobs are no failures": (
        {_COMPLETED: "5x20", _FAILED: "1x20"},
        _slo("slo:error_ratio:rate5m", "job_success"),
        0,
    ),
    "failures are a share of what ended": (
        {_COMPLETED: "0+45x20", _FAILED: "0+15x20"},
        _slo("slo:error_ratio:rate5m", "job_success"),
        0.25,
    ),
    "late jobs are a share of what completed": (
        {_DONE: "0+60x20", _IN_TIME: "0+30x20"},
        _slo("slo:error_ratio:rate1h", "job_latency"),
        0.5,
    ),
    "errors of ours are a share of the requests": (
        {_OK: "0+45x20", _BROKEN: "0+15x20"},
        _slo("slo:error_ratio:rate6h", "availability"),
        0.25,
    ),
    "events are per second": ({_COMPLETED: "0+60x20"}, _slo("slo:events:rate5m", "job_success"), 1),
    "bad events are counted": (
        {_DONE: "0+60x20", _IN_TIME: "0+45x20"},
        _slo("slo:bad_events:increase1h", "job_latency"),
        150,
    ),
    "nothing bad leaves the whole budget": (
        {_COMPLETED: "0+60x20", _FAILED: "0x20"},
        _slo("slo:budget_left:ratio", "job_success"),
        1,
    ),
    "without events the budget is whole": (
        {_COMPLETED: "0x20", _FAILED: "0x20"},
        _slo("slo:budget_left:ratio", "job_success"),
        1,
    ),
    "a promise is told as it is": ({_BUILD: "1x20"}, _slo("slo:target:ratio", "availability"), 0.999),
    "busy is the share of the threads": ({_ACTIVE: "2x20", _THREADS: "8x20"}, _BUSY, 0.25),
    "jobs in place do not make it more than all": ({_ACTIVE: "12x20", _THREADS: "8x20"}, _BUSY, 1),
    "without workers nobody knows": ({_ACTIVE: "2x20", _THREADS: "0x20"}, _BUSY, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_series_is_what_its_help_says(case: str, tmp_path: Path) -> None:
    series, wanted, value = CASES[case]
    (tmp_path / RECORDING_FILE).write_text(documents(_SETTINGS)[RECORDING_FILE], encoding="utf-8")
    document = {
        "rule_files": [RECORDING_FILE],
        "evaluation_interval": "15s",
        "group_eval_order": [group.name for group in recording_groups(_SETTINGS)],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": _four_a_minute(values)} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": wanted,
                        "eval_time": "10m",
                        "exp_samples": [] if value is None else [{"labels": wanted, "value": value}],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    result = promtool("test", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_budget_that_is_used_up_four_times_is_overspent(tmp_path: Path) -> None:
    # promtool compares floats exactly, and this one is no round number.
    (tmp_path / RECORDING_FILE).write_text(documents(_SETTINGS)[RECORDING_FILE], encoding="utf-8")
    document = {
        "rule_files": [RECORDING_FILE],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": _COMPLETED, "values": "0+96x20"},
                    {"series": _FAILED, "values": "0+4x20"},
                ],
                "promql_expr_test": [
                    {
                        "expr": 'round(slo:budget_left:ratio{slo="job_success"}, 0.001)',
                        "eval_time": "10m",
                        "exp_samples": [{"labels": '{environment="test",slo="job_success"}', "value": -3}],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    result = promtool("test", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def _four_a_minute(values: str) -> str:
    """Growth per minute, told every quarter of one."""
    start, _, growth = values.partition("+")
    if not growth:
        return f"{values.partition('x')[0]}x40"
    return f"{start}+{int(growth.partition('x')[0]) / 4}x40"
