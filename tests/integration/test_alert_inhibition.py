"""Consequences are not sent: a real Alertmanager holds them back, for the same environment only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from alerting.alertmanager import alertmanager_file
from alerting.inhibitions import INHIBITIONS, Inhibition
from app.domain.alerts import REDIS_DOWN, RELAY_BACKLOG, RELAY_DEGRADED, STUCK_PLANS, TARGET_DOWN, Alert
from app.domain.observers import RELAY_JOB
from tests.prometheus_tools import running_alertmanager
from tests.servers import wait_until


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("alertmanager")
    path = folder / "alertmanager.yml"
    # Nobody listens there: what is held back is asked of Alertmanager itself.
    path.write_text(alertmanager_file("http://127.0.0.1:9/alerts"), encoding="utf-8")
    with running_alertmanager(path) as url:
        yield url


def _states(url: str, environments: set[str]) -> dict[tuple[str, str], bool]:
    """Whether each alert of these environments is held back, by environment and name."""
    answer = requests.get(f"{url}/api/v2/alerts", timeout=5).json()
    return {
        (found["labels"]["environment"], found["labels"]["alertname"]): bool(found["status"]["inhibitedBy"])
        for found in answer
        if found["labels"]["environment"] in environments and found["status"]["state"] != "unprocessed"
    }


#: Alerts that nothing holds back.
_FREE = (STUCK_PLANS, RELAY_DEGRADED, RELAY_BACKLOG)


@pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda inhibition: inhibition.source.name)
def test_consequences_are_held_back_in_the_same_environment(alertmanager: str, inhibition: Inhibition) -> None:
    source, targets = inhibition.source, inhibition.targets
    here, elsewhere = f"here-{source.name}", f"elsewhere-{source.name}"
    sent = [(here, source), *((place, alert) for place in (here, elsewhere) for alert in (*targets, *_FREE))]
    body = [{"labels": {"alertname": alert.name, "environment": place}} for place, alert in sent]
    requests.post(f"{alertmanager}/api/v2/alerts", json=body, timeout=5).raise_for_status()
    # A consequence may have consequences of its own: Redis that is down, for one.
    wanted = {
        (place, alert.name): _is_held(alert, {other for at, other in sent if at == place}) for place, alert in sent
    }
    assert wanted[here, targets[0].name]
    assert not wanted[elsewhere, targets[0].name]
    wait_until(lambda: _states(alertmanager, {here, elsewhere}) == wanted, seconds=10, what=f"{wanted}")


def _is_held(alert: Alert, firing: set[Alert]) -> bool:
    return any(inhibition.source in firing and alert in inhibition.targets for inhibition in INHIBITIONS)


def test_a_relay_that_is_gone_holds_nothing_back(alertmanager: str) -> None:
    body = [
        {"labels": {"alertname": TARGET_DOWN.name, "environment": "no-relay", "job": RELAY_JOB}},
        {"labels": {"alertname": REDIS_DOWN.name, "environment": "no-relay"}},
    ]
    requests.post(f"{alertmanager}/api/v2/alerts", json=body, timeout=5).raise_for_status()
    wanted = {("no-relay", TARGET_DOWN.name): False, ("no-relay", REDIS_DOWN.name): False}
    wait_until(lambda: _states(alertmanager, {"no-relay"}) == wanted, seconds=10, what=f"{wanted}")
