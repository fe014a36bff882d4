"""A link in a message silences one alert, and no other, in a real Alertmanager."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from alerting.alertmanager import alertmanager_file
from alerting.intake.notices import notice_signal
from alerting.issues.decisions import Decisions
from alerting.issues.throttle import Pace
from alerting.messages.links import LinkMaker
from alerting.silences.pages import silences
from alerting.silences.silence_links import silence_link, silence_matchers
from alerting.store import Store
from app.domain.errors import DatabaseUnavailableError
from app.domain.notices import Notice, NoticeState
from tests.prometheus_tools import running_alertmanager
from tests.servers import free_port, wait_until

_LINKS = LinkMaker(web_url="http://web", runbook_url="http://runbooks", grafana_url="http://grafana", dashboards={})
_SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yml"
    file.write_text(alertmanager_file("http://127.0.0.1:9/alerts"), encoding="utf-8")
    with running_alertmanager(file) as url:
        yield url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "relay.db")
    yield store
    store.close()


def _client(store: Store, alertmanager_url: str) -> FlaskClient:
    app = Flask("relay")
    app.register_blueprint(silences(secret=_SECRET, store=store, alertmanager_url=alertmanager_url))
    return app.test_client()


def _path(environment: str, *, minutes: float = 60, labels: Mapping[str, str] | None = None) -> str:
    matchers = {"alertname": "MarketplaceCircuitOpened", "environment": environment, "agent": "kaway", **(labels or {})}
    link = silence_link(
        "http://relay", _SECRET, matchers, issue="an issue", expires_at=datetime.now(UTC) + timedelta(minutes=minutes)
    )
    return urlsplit(link).path


def _silences(url: str, environment: str) -> list[dict[str, object]]:
    answer = requests.get(f"{url}/api/v2/silences", params={"filter": f'environment="{environment}"'}, timeout=5)
    return list(answer.json())


def _silenced(url: str, alerts: list[dict[str, str]]) -> list[bool] | None:
    """Whether each of the alerts is silenced; None before Alertmanager has looked at all of them."""
    found = {
        tuple(sorted(one["labels"].items())): one["status"]
        for one in requests.get(f"{url}/api/v2/alerts", timeout=5).json()
    }
    states = [found.get(tuple(sorted(labels.items()))) for labels in alerts]
    if any(state is None or state["state"] == "unprocessed" for state in states):
        return None
    return [bool(state["silencedBy"]) for state in states if state is not None]


def test_a_link_silences_exactly_its_alert(store: Store, alertmanager: str) -> None:
    alert = {"alertname": "MarketplaceCircuitOpened", "environment": "exact", "agent": "kaway", "severity": "warning"}
    others = [
        alert | {"agent": "shein"},
        alert | {"agent": "kaway2"},
        alert | {"environment": "exactly"},
        alert | {"alertname": "MarketplaceCircuitFlapping"},
    ]
    posted = [{"labels": labels} for labels in (alert, *others)]
    requests.post(f"{alertmanager}/api/v2/alerts", json=posted, timeout=5).raise_for_status()
    wait_until(lambda: _silenced(alertmanager, [alert, *others]) == [False] * 5, seconds=10, what="the alerts")

    done = _client(store, alertmanager).post(_path("exact"), data={"hours": "4"})
    assert done.status_code == 200
    assert "Silenced" in done.text
    wait_until(
        lambda: _silenced(alertmanager, [alert, *others]) == [True, False, False, False, False],
        seconds=10,
        what="the silence of one alert",
    )
    (made,) = _silences(alertmanager, "exact")
    assert made["createdBy"] == "slack link"
    assert made["comment"] == "From a message on an issue"
    lasts = datetime.fromisoformat(str(made["endsAt"])) - datetime.fromisoformat(str(made["startsAt"]))
    assert abs(lasts - timedelta(hours=4)) < timedelta(seconds=10)
    assert str(made["id"]) in done.text


def test_looking_changes_nothing(store: Store, alertmanager: str) -> None:
    client, path = _client(store, alertmanager), _path("looking")
    for answer in (client.get(path), client.head(path), client.get(path)):
        assert answer.status_code == 200
    assert _silences(alertmanager, "looking") == []
    assert client.post(path, data={"hours": "1"}).status_code == 200


def test_a_link_works_once(store: Store, alertmanager: str) -> None:
    client, path = _client(store, alertmanager), _path("once")
    assert client.post(path, data={"hours": "1"}).status_code == 200
    for answer in (client.post(path, data={"hours": "24"}), client.get(path)):
        assert answer.status_code == 410
        assert "has been used" in answer.text
    assert len(_silences(alertmanager, "once")) == 1


def test_a_link_stays_good_while_alertmanager_is_away(store: Store, alertmanager: str) -> None:
    path = _path("away")
    failed = _client(store, f"http://127.0.0.1:{free_port()}").post(path, data={"hours": "1"})
    assert failed.status_code == 503
    assert "still works" in failed.text
    client = _client(store, alertmanager)
    assert client.get(path).status_code == 200
    assert client.post(path, data={"hours": "1"}).status_code == 200


def test_a_relay_that_cannot_use_its_file_says_so(
    store: Store, alertmanager: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise DatabaseUnavailableError("disk full")

    monkeypatch.setattr(store, "write", refuse)
    client, path = _client(store, alertmanager), _path("full")
    for answer in (client.get(path), client.post(path, data={"hours": "1"})):
        assert answer.status_code == 503
    assert _silences(alertmanager, "full") == []


def test_a_refusal_of_alertmanager_silences_nothing(store: Store, alertmanager: str) -> None:
    assert (
        _client(store, alertmanager).post(_path("refused", labels={"no label": "x"}), data={"hours": "1"}).status_code
        == 503
    )


@pytest.mark.parametrize("hours", ["", "2", "-1", "9999", "x", "1e9"])
def test_only_the_offered_spans_are_taken(store: Store, alertmanager: str, hours: str) -> None:
    client, path = _client(store, alertmanager), _path("spans")
    assert client.post(path, data={"hours": hours}).status_code == 400
    assert client.get(path).status_code == 200
    assert _silences(alertmanager, "spans") == []


def test_a_forged_link_is_refused(store: Store, alertmanager: str) -> None:
    client = _client(store, alertmanager)
    path = _path("forged")
    changed = path[:-3] + ("aaa" if path[-3:] != "aaa" else "bbb")
    for answer in (client.get(changed), client.post(changed, data={"hours": "1"}), client.get("/silences/x")):
        assert answer.status_code == 403
    assert _silences(alertmanager, "forged") == []


def test_a_link_is_over_after_its_time(store: Store, alertmanager: str) -> None:
    client, path = _client(store, alertmanager), _path("over", minutes=-1)
    assert client.get(path).status_code == 410
    assert client.post(path, data={"hours": "1"}).status_code == 410
    assert _silences(alertmanager, "over") == []


def test_the_page_shows_labels_as_text_and_loads_nothing(store: Store, alertmanager: str) -> None:
    shown = _client(store, alertmanager).get(_path("page", labels={"agent": "<script>alert(1)</script>"}))
    assert "<script" not in shown.text
    assert "&lt;script&gt;" in shown.text
    assert '<form method="post">' in shown.text
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "form-action 'self'" in policy
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert shown.headers["Cache-Control"] == "no-store"


def test_a_form_that_is_too_large_is_refused(store: Store, alertmanager: str) -> None:
    answer = _client(store, alertmanager).post(_path("large"), data={"hours": "1", "x": "y" * 10_000})
    assert answer.status_code == 413


def test_a_silence_keeps_what_the_pipeline_tells_of_the_same_issue_back(store: Store, alertmanager: str) -> None:
    decisions = Decisions(Pace(window_seconds=300, remind_seconds=1000, hold_seconds=120), _LINKS)
    opened = notice_signal(_notice())
    with store.write() as connection:
        decisions.hear(connection, [opened], now=time.time())
    matchers, expires_at = silence_matchers(opened), datetime.now(UTC) + timedelta(hours=1)
    link = silence_link("http://relay", _SECRET, matchers, issue=opened.issue, expires_at=expires_at)
    assert _client(store, alertmanager).post(urlsplit(link).path, data={"hours": "1"}).status_code == 200
    with store.write() as connection:
        later, over = time.time() + 1800, time.time() + 3700
        assert [one.is_suppressed for one in decisions.hear(connection, [notice_signal(_notice())], later)] == [True]
        decisions.tick(connection, later)
        (messages,) = connection.execute("SELECT count(*) FROM messages").fetchone()
        assert messages == 1
        decisions.tick(connection, over)
        (messages,) = connection.execute("SELECT count(*) FROM messages").fetchone()
        assert messages == 2


def _notice() -> Notice:
    return Notice(
        id=uuid4(),
        alert="MarketplaceCircuitOpened",
        state=NoticeState.FIRING,
        at=datetime.now(UTC),
        environment="direct",
        subject={"agent": "kaway"},
        summary="The circuit of kaway is open",
    )
