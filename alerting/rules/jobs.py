"""Alerts on jobs and plans that come to no good end, and on defects of ours."""

from __future__ import annotations

from alerting.rules.rule import AlertRule
from app.domain.alerts import DEAD_LETTERS_GROWING, JOBS_UNACCOUNTED, STUCK_PLANS, UNEXPECTED_ERRORS
from app.domain.conservation import LossKind
from app.domain.dashboards import Dashboard
from app.domain.dead_letters import ErrorClass
from app.domain.stuck_plans import StuckCause
from app.metrics import DEAD_MESSAGES, ERRORS, JOBS_FAILED
from app.metrics import JOBS_UNACCOUNTED as UNACCOUNTED
from app.metrics import STUCK_PLANS as STUCK
from app.promql import increase, labelled, lasting, level, one_of, sum_by

#: Losses that the scheduler mends within seconds; only those that stay are one.
_MENDED = (LossKind.PLAN_WITHOUT_JOB, LossKind.NO_DEAD_LETTER)
_SEEN_ONCE = tuple(loss for loss in LossKind if loss not in _MENDED)

_LOSS = ("environment", "loss")


def _new_letters() -> str:
    """Return how many dead letters came within 5 minutes: of jobs, and of messages, which have no kind."""
    messages = f"{sum_by(['environment'], increase(DEAD_MESSAGES, '5m'))} > 0"
    return (
        f"{sum_by(['environment', 'kind', 'error_class'], increase(JOBS_FAILED, '5m'))} > 0\n"
        f"or {labelled(labelled(messages, 'kind', 'none'), 'error_class', ErrorClass.MESSAGE)}"
    )


JOB_RULES = (
    AlertRule(
        DEAD_LETTERS_GROWING,
        _new_letters(),
        threshold="a new dead letter within 5 min",
        summary="New dead letters: {{ $labels.kind }}, {{ $labels.error_class }}",
        description="{{ $value | humanize }} jobs or messages of {{ $labels.environment }} came to no good end within 5"
        " minutes (kind {{ $labels.kind }}, class {{ $labels.error_class }}). Each is kept until somebody decides.",
        dashboard=Dashboard.QUEUE_AND_JOBS,
    ),
    AlertRule(
        JOBS_UNACCOUNTED,
        f"{lasting(UNACCOUNTED, '10m', _LOSS, loss=one_of(*_SEEN_ONCE))} > 0\n"
        f"or {level(UNACCOUNTED, _LOSS, loss=one_of(*_MENDED))} > 0",
        threshold="a loss seen within 10 min; those that the scheduler mends: for 1 min",
        summary="Jobs are lost: {{ $labels.loss }}",
        description="{{ $value }} losses of the kind {{ $labels.loss }} were found in the database of"
        " {{ $labels.environment }}. None should ever be.",
        dashboard=Dashboard.OVERVIEW,
        for_seconds=60,
        keep_firing_seconds=300,
    ),
    AlertRule(
        STUCK_PLANS,
        f"{level(STUCK, ['environment', 'cause'], cause=f'!={StuckCause.QUEUE_PAUSED}')} > 0",
        threshold="a stuck plan for 1 min; a paused queue is no fault",
        summary="Plans are stuck: {{ $value }}, {{ $labels.cause }}",
        description="{{ $value }} plans of {{ $labels.environment }} make no progress although they should. Cause:"
        " {{ $labels.cause }}. What the scheduler can mend it mends within seconds.",
        dashboard=Dashboard.OVERVIEW,
        for_seconds=60,
    ),
    AlertRule(
        UNEXPECTED_ERRORS,
        f"{sum_by(['environment', 'place'], increase(ERRORS, '5m'))} > 0",
        threshold="an error that nobody expected within 5 min",
        summary="Unexpected errors in {{ $labels.place }}",
        description="{{ $value | humanize }} exceptions that nobody expected within 5 minutes in {{ $labels.place }} of"
        " {{ $labels.environment }}. Each is in the log with its traceback.",
        dashboard=Dashboard.REDIS_AND_RUNTIME,
    ),
)
