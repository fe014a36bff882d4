"""The live gate: real Prometheus, real stack, a load in which every state occurs, and no query without an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import requests

from app.domain import alerts
from app.domain.jobs import LossCause
from app.domain.objectives import OBJECTIVES
from app.domain.stuck_plans import StuckCause
from app.metrics import LEASES_REAPED, REDIS_UP, STUCK_PLANS
from app.recorded_series import BUDGET_LEFT, RECORDED, SLO_TARGET
from deploy.local.story import OPEN_SECONDS
from tests.prometheus_server import need_prometheus
from tests.receiver import running_receiver
from tests.seed_faults import faults_happen
from tests.seed_load import everything_happens
from tests.servers import wait_until
from tests.stacks import RunningStack, marketplace, running_stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(360)]

#: At one scrape a second, some seconds are enough for every rate to see what has happened.
_SAMPLES_SECONDS = 20.0
#: What was recorded so long ago is on every page.
_SETTLED_SECONDS = 3.0
#: Web, worker, quarantine, scheduler, relay, Prometheus, Alertmanager.
_TARGETS = 7
#: Panels that may be empty while nothing has happened, at most.
_EVENT_ONLY_PANELS = 5


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Yield a stack on which everything has happened that panels show."""
    need_prometheus()
    directory = tmp_path_factory.mktemp("observed")
    settings = {
        "MARKETPLACE_MONITORING__SCRAPE_SECONDS": "1",
        "MARKETPLACE_BREAKERS__OPEN_SECONDS": str(OPEN_SECONDS),
        "MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_WEBHOOKS": "true",
        # Else the sweeper's round may mend a stuck plan before the watch, which counts it, has found it.
        "MARKETPLACE_JOBS__RECONCILE_SECONDS": "600",
    }
    with running_receiver() as receiver, running_stack(directory, "--observe", **settings) as stack:
        stack.api.post("webhooks", {"url": receiver.url, "events": ["job:completed", "job:failed"]})
        # What a counter counted before its first scrape is growth that nobody sees; targets are found after 5 s.
        wait_until(
            lambda: len(_ask(stack, "count_over_time(up[1m]) >= 2 and up == 1")) == _TARGETS,
            seconds=60,
            what="every target to be scraped twice",
        )
        everything_happens(stack)
        faults_happen(stack, partial(_ask, stack))
        wait_until(lambda: receiver.received, what="a delivery")
        told = time.time()
        # Rules over hours are evaluated once a minute, and pages end with a whole second.
        wait_until(
            lambda: (
                _ask(stack, f"min(timestamp({BUDGET_LEFT.name})) > {told} < time() - {_SETTLED_SECONDS}")
                and _ask(stack, f"min(timestamp(up)) > {told + _SAMPLES_SECONDS}")
            ),
            seconds=90,
            what="every target to be scraped, and every rule to be evaluated, once more",
        )
        yield stack


@pytest.fixture(scope="module")
def told(observed: RunningStack) -> Mapping[str, Any]:
    """Return what the dashboards show, which are drawn under `pages`."""
    rendered = marketplace(
        *("dashboards", "render", "--output", str(observed.directory / "pages"), "--from", "5m"),
        *("--prometheus", observed.facts["urls"]["prometheus"], "--scrape-interval", "1s"),
        *("--require-data", "--json"),
        cwd=observed.directory,
    )
    found: Mapping[str, Any] = json.loads(rendered.stdout)
    assert not found["problems"]
    assert rendered.returncode == 0, rendered.stderr
    return found


def test_every_query_of_every_panel_is_answered_with_data(observed: RunningStack, told: Mapping[str, Any]) -> None:
    queries = [(panel["panel"], target) for panel in told["panels"] for target in panel["targets"]]
    assert len(queries) > 100
    assert not [(panel, target) for panel, target in queries if target["error"]]
    assert not [panel["panel"] for panel in told["panels"] if panel["empty"] and not panel["eventOnly"]]
    panels = [panel for panel in told["panels"] if panel["type"] != "annotation"]
    assert sum(panel["eventOnly"] for panel in panels) <= _EVENT_ONLY_PANELS
    assert (
        len({panel["dashboard"] for panel in told["panels"]})
        == len(list((observed.directory / "pages").glob("*.html"))) - 1
        >= 6
    )


@pytest.mark.parametrize(
    "fault",
    [
        f'max_over_time({STUCK_PLANS.name}{{cause="{StuckCause.NO_JOB}"}}[10m]) > 0',
        f"min_over_time({REDIS_UP.name}[10m]) == 0",
        'changes(process_start_time_seconds{job="marketplace-worker"}[10m]) > 0',
        f'max_over_time({LEASES_REAPED.name}{{cause="{LossCause.PROCESS_DIED}"}}[10m]) > 0',
        f'count_over_time(ALERTS{{alertname="{alerts.STUCK_PLANS.name}", alertstate="pending"}}[10m])',
    ],
    ids=["stuck plan", "Redis away", "worker dead", "its job taken back", "alert on the stuck plan"],
)
def test_each_fault_was_scraped(observed: RunningStack, fault: str) -> None:
    assert _ask(observed, fault)


@pytest.mark.parametrize(
    ("panel", "shown"),
    [
        ("Stuck plans by cause", "max_over_time(({})[5m:1s]) > 0"),
        ("Plans found stuck", "max_over_time(({})[5m:1s]) > 0"),
        ("Redis and database over time", "min_over_time(({})[5m:1s]) == 0"),
        ("Jobs taken back from dead or frozen runs", "max_over_time(({})[5m:1s]) > 0"),
    ],
)
def test_the_panels_on_the_faults_show_more_than_their_levels_at_rest(
    observed: RunningStack, told: Mapping[str, Any], panel: str, shown: str
) -> None:
    queries = [query["expr"] for found in told["panels"] if found["panel"] == panel for query in found["targets"]]
    assert [query for query in queries if _ask(observed, shown.format(query))]


def test_every_recorded_series_has_data(observed: RunningStack) -> None:
    groups = _prometheus(observed, "rules")["groups"]
    unwell = [rule for group in groups for rule in group["rules"] if rule["health"] != "ok" or rule.get("lastError")]
    assert not unwell
    recorded = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "recording"}
    assert recorded < {series.name for series in RECORDED}
    assert not [name for name in sorted(recorded) if not _ask(observed, name)]
    # The story has failed jobs: what counts them must have seen them.
    targets = {found["metric"]["slo"]: float(found["value"][1]) for found in _ask(observed, SLO_TARGET.name)}
    assert targets == {objective.name: objective.target for objective in OBJECTIVES}
    left = {found["metric"]["slo"]: float(found["value"][1]) for found in _ask(observed, BUDGET_LEFT.name)}
    assert left["job_success"] < 1.0


def test_a_failed_job_moves_its_alert_and_the_watchdog_reaches_alertmanager(observed: RunningStack) -> None:
    watchdog = wait_until(
        lambda: [
            alert
            for alert in requests.get(f"{observed.facts['urls']['alertmanager']}/api/v2/alerts", timeout=5).json()
            if alert["labels"]["alertname"] == "MarketplaceWatchdog"
        ],
        seconds=60,
        what="Watchdog to reach Alertmanager",
    )
    runbook = requests.get(watchdog[0]["annotations"]["runbook_url"], timeout=5)
    assert "<title>MarketplaceWatchdog</title>" in runbook.text
    fired = {
        found["metric"]["alertname"]
        for found in _ask(observed, 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[10m]))')
    }
    assert {
        *("MarketplaceDeadLettersGrowing", "MarketplaceCircuitOpened", "MarketplaceWatchdog"),
        *("MarketplaceRedisDown", "MarketplaceSyncFallbackActive"),
    } <= fired


def _ask(stack: RunningStack, expr: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = _prometheus(stack, "query", query=expr)["result"]
    return result


def _prometheus(stack: RunningStack, path: str, **parameters: str) -> dict[str, Any]:
    answer = requests.get(f"{stack.facts['urls']['prometheus']}/api/v1/{path}", params=parameters, timeout=10)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data
