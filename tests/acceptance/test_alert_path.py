"""From a fault to its message in Slack, with a real Prometheus, Alertmanager and relay; the short form of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alert_path.__main__ import all_told, observed_stack
from tests.alert_path.told import AlertPath, Told, broken_links
from tests.prometheus_server import need_prometheus

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def path_and_told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AlertPath, list[Told]]]:
    """Yield a stack after everything has happened on it that Slack is told of."""
    need_prometheus()
    with observed_stack(tmp_path_factory.mktemp("alert-path"), shorten=10) as stack:
        path = AlertPath(stack)
        yield path, all_told(path)


def test_each_fault_is_told_once_whichever_ways_tell_of_it(path_and_told: tuple[AlertPath, list[Told]]) -> None:
    path, told = path_and_told
    assert {entry.what: path.count(entry) for entry in told} == {
        "a dead agent": 1,
        "it heals": 1,
        "a failed job": 1,
        "a queue backed up": 1,
    }


def test_what_happened_is_told_before_its_message_arrives(path_and_told: tuple[AlertPath, list[Told]]) -> None:
    _, told = path_and_told
    # How soon is measured by `make alert-path`; a machine that is busy with tests tells only the order.
    assert all(entry.seconds > 0 for entry in told)


def test_every_link_of_every_message_works(path_and_told: tuple[AlertPath, list[Told]]) -> None:
    path, _ = path_and_told
    links = path.links()
    assert any("/runbooks/" in link for link in links)
    assert any("/jobs/" in link for link in links)
    assert any("/silences/" in link for link in links)
    assert any("/d/" in link for link in links)
    assert broken_links(links) == {}
