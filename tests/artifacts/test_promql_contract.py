from __future__ import annotations

import pytest

from app.metrics import METRICS
from app.promql import MATCHES, level, max_by, quantile, rate, select, sum_by
from tests.artifacts.promql_contract import labels_of, problems, selectors, series_in

_PENDING = "marketplace_queue_pending_jobs"
_CALLS = "marketplace_agent_calls_total"
_LATENCY = "marketplace_job_completion_seconds"

_SOUND = {
    "a level, once": f'max by (environment, queue) ({_PENDING}{{environment=~".+",queue="analysis"}})',
    "a sum of levels taken once": f"sum(max by (queue) ({_PENDING}))",
    "a quantile": f"histogram_quantile(0.99, sum by (le) (rate({_LATENCY}_bucket[5m])))",
    "a bucket up to an edge": f'increase({_LATENCY}_bucket{{le="5.0"}}[1h])',
    "a ratio": f'sum(rate({_CALLS}{{outcome!="ok"}}[5m])) / sum(rate({_CALLS}[5m]))',
    "a share by label": f"sum by (agent) (rate({_CALLS}[5m])) / on () group_left () sum(rate({_CALLS}[5m]))",
    "a list of values": f'{_CALLS}{{outcome=~"timeout|network"}}',
    "an agent, whose names are known at run time only": f'{_CALLS}{{agent="anything"}}',
    "a recorded series": 'queue:drain_seconds:estimate{queue="analysis"} > 600',
    "a foreign metric": "sum by (alertmanager) (rate(prometheus_notifications_sent_total[5m]))",
    "what is missing": 'absent(up{job="web"})',
    "a number in place of nothing": "count(ALERTS) or vector(0)",
    "an age": "time() - timestamp(up)",
    "changes of a level": f"changes({_PENDING}[5m])",
}

_DEFECTS = {
    "unparsable": ("sum(", "cannot be parsed"),
    "a renamed metric": ("marketplace_queue_waiting_jobs", "no series marketplace_queue_waiting_jobs"),
    "a renamed recorded series": ("queue:drain:estimate", "no series queue:drain:estimate"),
    "no name": ('{environment="x"}', "no series without a name"),
    "a wrong label to match": (f'{_PENDING}{{agent="x"}}', "has no label agent"),
    "a wrong label to match in a range": (f'rate({_CALLS}{{queue="x"}}[5m])', "has no label queue"),
    "a value that never comes": (f'{_PENDING}{{queue="phase2"}}', "label queue is never 'phase2'"),
    "a value that never comes, in a list": (f'{_CALLS}{{outcome=~"ok|fine"}}', "label outcome is never 'fine'"),
    "an edge that is none": (f'{_LATENCY}_bucket{{le="4.0"}}', "label le is never '4.0'"),
    "an edge as our client does not write it": (f'{_LATENCY}_bucket{{le="5"}}', "label le is never '5'"),
    "a wrong label to group by": (f"max by (agent) ({_PENDING})", "has a label agent"),
    "a label that was aggregated away": (f"sum by (queue) (max by (environment) ({_PENDING}))", "has a label queue"),
    "a wrong label to join on": (f"{_PENDING} / on (agent) {_PENDING}", "has a label agent"),
    "a wrong label to take over": (
        f"sum by (agent) ({_CALLS}) / on () group_left (queue) sum({_CALLS})",
        "has a label queue",
    ),
    "a target's label of a recorded series": ('slo:target:ratio{job="web"}', "has no label job"),
    "a suffix of a gauge": (f"{_PENDING}_count", "a histogram has"),
    "a suffix of a counter": (f"rate({_CALLS}_sum[5m])", "a histogram has"),
    "a histogram without suffix": (_LATENCY, "a histogram has"),
    "a sum of levels": (f"sum by (queue) ({_PENDING})", "sum over a level"),
    "a sum of levels in brackets": (f"sum(({_PENDING} > 5))", "sum over a level"),
    "a count of levels": (f"count({_PENDING})", "count over a level"),
    "the rate of a gauge": (f"rate({_PENDING}[5m])", "no counter"),
    "the rate of a recorded series": ("increase(queue:jobs_ended:rate1m[5m])", "no counter"),
    "a quantile without le": (f"histogram_quantile(0.9, sum(rate({_LATENCY}_bucket[5m])))", "has a label le"),
    "sides that never match": (f"sum by (agent) ({_CALLS}) / sum({_CALLS})", "only one has agent"),
}


@pytest.mark.parametrize("expression", _SOUND.values(), ids=_SOUND)
def test_a_sound_expression_has_no_problem(expression: str) -> None:
    assert problems(expression) == []


@pytest.mark.parametrize(("expression", "found"), _DEFECTS.values(), ids=_DEFECTS)
def test_a_defect_is_found(expression: str, found: str) -> None:
    assert any(found in problem for problem in problems(expression)), problems(expression)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_what_our_own_expressions_say_of_a_metric_is_accepted(metric: object) -> None:
    within = {"environment": f"{MATCHES}.+"}
    found = next(known for known in METRICS if known is metric)
    if found.level:
        expression = level(found, ("environment", *found.labels), **within)
    elif found.kind == "histogram":
        expression = quantile(0.95, found, "5m", ("environment", *found.labels), **within)
    elif found.kind == "counter":
        expression = sum_by(("environment", *found.labels), rate(found, "5m", **within))
    else:
        expression = max_by(("environment", *found.labels), select(found, **within))
    assert problems(expression) == []
    assert labels_of(expression) == {"environment", *found.labels}
    assert series_in(expression) == {found.name}


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        (
            "sum without (agent) (rate(marketplace_agent_calls_total[5m]))",
            {"environment", "job", "instance", "outcome"},
        ),
        ('absent(up{job="web",instance=~"a|b"})', {"job"}),
        ("label_replace(slo:target:ratio, 'title', '$1', 'slo', '(.*)')", {"environment", "slo", "title"}),
        ("sum by (agent) (rate(marketplace_agent_calls_total[5m])) > 1", {"agent"}),
        ("time()", set()),
    ],
)
def test_the_labels_of_a_result_are_known(expression: str, labels: set[str]) -> None:
    assert labels_of(expression) == labels


def test_labels_of_an_unsound_expression_are_refused() -> None:
    with pytest.raises(ValueError, match="no series nothing"):
        labels_of("nothing")


def test_every_selector_is_named() -> None:
    expression = "sum(rate(marketplace_agent_calls_total[5m])) / max(up)"
    assert [selector.name for selector in selectors(expression)] == ["marketplace_agent_calls_total", "up"]
