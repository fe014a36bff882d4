"""The HTTP edge of the relay: a real server on a free port, and what it accepts, refuses and remembers."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from alerting.committer import Committer
from alerting.intake.api import IntakeEdge, create_app
from alerting.intake.intake import Intake
from alerting.intake.server import IntakeServer
from alerting.issues.decisions import Decisions
from alerting.issues.throttle import Pace
from alerting.messages.links import LinkMaker
from alerting.store import Store
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_METRICS, RELAY_REFUSED, RELAY_SIGNALS, RELAY_SUPPRESSED, Metric
from app.settings import RelaySettings
from tests.relay_process import (
    AUTHORIZED,
    EVENTS_SECRET,
    TOKEN,
    alert,
    event,
    notice,
    post_alerts,
    post_event,
    webhook,
)
from tests.servers import free_port

MOST_BYTES = 10_000_000
OTHER_SECRET = "whsec_" + "b" * 44


@dataclass
class Edge:
    """A server that answers, and what is behind it."""

    url: str
    port: int
    store: Store
    intake: Intake
    metrics: LiveMetrics
    watchdogs: list[bool] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def cards(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [json.loads(row["card"]) for row in connection.execute("SELECT card FROM messages ORDER BY id")]

    def counted(self, metric: Metric, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(metric.name, labels) or 0.0


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    settings = RelaySettings(
        events_secret=SecretStr(EVENTS_SECRET),
        alertmanager_token=SecretStr(TOKEN),
        port=free_port(),
        max_body_bytes=MOST_BYTES,
    )
    metrics, stop = LiveMetrics(metrics=RELAY_METRICS), threading.Event()
    store = Store(tmp_path / "relay.db")
    committer = Committer(store)
    links = LinkMaker(
        web_url="http://web",
        runbook_url="http://web/runbooks",
        grafana_url="http://grafana",
        dashboards={"MarketplaceCircuitOpened": "agents"},
        silence_link=lambda _: "http://silence",
    )
    intake = Intake(committer, Decisions(Pace(300, 14_400, 120), links), metrics)
    found = Edge(f"http://127.0.0.1:{settings.port}", settings.port, store, intake, metrics)
    handlers = IntakeEdge(
        intake,
        settings,
        metrics,
        environment="local",
        see_watchdog=lambda: found.watchdogs.append(True),
        problems=lambda: found.problems,
    )
    server = IntakeServer(create_app(handlers), settings, metrics)
    serving = threading.Thread(target=server.serve, args=(stop,))
    serving.start()
    yield found
    stop.set()
    serving.join(20)
    committer.stop()
    store.close()
    assert not serving.is_alive()


def test_an_alert_is_accepted_once_and_becomes_a_card_with_its_links(edge: Edge) -> None:
    began_at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    sent = alert("kaway", started_at=began_at)
    assert post_alerts(edge.url, [sent]).json() == {"status": "accepted", "accepted": 1}
    assert post_alerts(edge.url, [sent]).json() == {"status": "accepted", "repeated": 1}
    [card] = edge.cards()
    assert (card["kind"], card["alert"], card["subject"]) == ("firing", "MarketplaceCircuitOpened", {"agent": "kaway"})
    milliseconds = round(began_at.timestamp() * 1000) - 1_800_000
    assert card["links"] == {
        "runbook": "http://127.0.0.1:8000/runbooks/MarketplaceCircuitOpened",
        "dashboard": f"http://127.0.0.1:3000/d/marketplace-agents-and-breakers?from={milliseconds}&to=now",
        "job": None,
        "silence": "http://silence",
    }


def test_both_paths_make_one_issue_and_its_end_has_a_range_and_no_silence(edge: Edge) -> None:
    job = "11111111-1111-1111-1111-111111111111"
    post_event(edge.url, notice(jobId=job, planId=job, error="refused")).raise_for_status()
    assert post_alerts(edge.url, [alert()]).json() == {"status": "accepted", "joined": 1}
    post_event(edge.url, notice(state="resolved")).raise_for_status()
    firing, recovery = edge.cards()
    assert (firing["links"]["job"], firing["error"]) == (f"http://web/jobs/{job}", "refused")
    assert (recovery["kind"], recovery["type"]) == ("recovery", "recovery_success")
    assert firing["links"]["dashboard"].startswith("http://grafana/d/agents?var-environment=local&from=")
    assert recovery["links"]["silence"] is None
    assert edge.counted(RELAY_SIGNALS, path="pipeline", outcome="accepted") == 2


def test_what_the_rules_know_of_an_issue_is_on_the_card_of_a_later_notice(edge: Edge) -> None:
    post_alerts(edge.url, [alert()])
    post_event(edge.url, notice(state="resolved", at=datetime.now(UTC).isoformat()))
    [_, recovery] = edge.cards()
    assert recovery["links"]["dashboard"].startswith("http://127.0.0.1:3000/d/marketplace-agents-and-breakers?")


def test_watchdog_only_touches_the_switch(edge: Edge) -> None:
    post_alerts(edge.url, [alert(name="MarketplaceWatchdog"), alert(name="MarketplaceWatchdog", firing=False)])
    assert edge.watchdogs == [True]
    assert edge.cards() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ü".encode("latin-1")},
    ],
    ids=["none", "wrong", "scheme", "empty", "latin"],
)
def test_alerts_without_the_token_are_refused(edge: Edge, headers: dict[str, Any]) -> None:
    answer = requests.post(f"{edge.url}/alerts", data=webhook(alert()), headers=headers, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert edge.counted(RELAY_REFUSED, reason="token") == 1
    assert edge.cards() == []


@pytest.mark.parametrize(
    ("body", "field_name"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"", "body"),
        (b"[" * 100_000, "body"),
        (b"{}", "alerts"),
        (webhook("text"), "alerts.0"),
        (webhook(alert(), alert(status="broken")), "alerts.1.status"),
        (webhook(alert(status={})), "alerts.0.status"),
        (webhook(alert(startsAt="yesterday")), "alerts.0.startsAt"),
        (webhook(alert(startsAt=[1])), "alerts.0.startsAt"),
        (webhook(alert(labels=[])), "alerts.0.labels"),
        (webhook(alert(annotations="a")), "alerts.0.annotations"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_from_alertmanager_is_refused_by_its_field(edge: Edge, body: bytes, field_name: str) -> None:
    answer = requests.post(f"{edge.url}/alerts", data=body, headers=AUTHORIZED, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field_name
    assert edge.counted(RELAY_REFUSED, reason="malformed") == 1


def test_good_alerts_beside_a_bad_one_are_accepted(edge: Edge) -> None:
    answer = post_alerts(edge.url, [alert(), alert(startsAt=5)])
    assert answer.status_code == 400
    assert len(edge.cards()) == 1


HOSTILE: dict[str, dict[str, Any]] = {
    "long": {"labels": {"alertname": "Odd", "a": "x" * 100_000}},
    "two long ones": {"labels": {"alertname": "Odd", "a": "x" * 100_001}},
    "control characters": {"labels": {"alertname": "Odd\x00\x1b[31m", "a\n": "\x00"}},
    "lone surrogate": {"labels": {"alertname": "Odd", "a": "\ud800"}},
    "no labels": {"labels": None, "annotations": None},
    "no name": {"labels": {}},
    "unknown severity and type": {"labels": {"alertname": "Odd", "severity": "panic", "type": "odd"}},
    "numbers": {"labels": {"alertname": "Odd", "a": 5}, "annotations": {"summary": ["x"]}},
    "many": {"labels": {"alertname": "Odd", **{f"label{number}": "v" for number in range(2000)}}},
    "huge fingerprint": {"fingerprint": "f" * 100_000},
    "odd fingerprint": {"fingerprint": {"a": 1}},
    "no times": {"startsAt": None, "endsAt": None},
    "the end of time": {"startsAt": "9999-12-31T23:59:59.999999999Z"},
    "the beginning of time": {"startsAt": "0001-01-01T00:00:01Z"},
    "links": {"annotations": {"runbook_url": "javascript:alert(1)", "dashboard_url": "http://[", "summary": "s"}},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE)
def test_absurd_alerts_are_accepted_and_cut(edge: Edge, fields: dict[str, Any]) -> None:
    answer = post_alerts(edge.url, [alert(**fields)])
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted", "accepted": 1})
    [card] = edge.cards()
    assert len(json.dumps(card)) < 40_000
    assert card["severity"] == "warning"
    assert card["type"] in {"monitoring", "circuit_opened"}
    assert not str(card["links"]["runbook"]).startswith("javascript")
    assert "\x00" not in card["issue"]


def test_long_labels_that_differ_at_the_end_are_two_issues(edge: Edge) -> None:
    post_alerts(edge.url, [alert(**HOSTILE["long"]), alert(**HOSTILE["two long ones"])])
    assert len({card["issue"] for card in edge.cards()}) == 2


def test_invalid_utf_8_is_replaced(edge: Edge) -> None:
    body = webhook(alert()).replace(b"is not called", b"is \xff\xfe not called")
    assert requests.post(f"{edge.url}/alerts", data=body, headers=AUTHORIZED, timeout=10).status_code == 200
    assert edge.cards()[0]["title"] == "kaway is \ufffd\ufffd not called"


def test_the_labels_of_an_unknown_alert_are_believed(edge: Edge) -> None:
    labels = {"alertname": "NodeDown", "severity": "critical", "node": "a", "environment": "prod"}
    post_alerts(edge.url, [alert(labels=labels)])
    [card] = edge.cards()
    assert (card["issue"], card["severity"], card["type"]) == ("NodeDown/prod/node=a", "critical", "monitoring")


@pytest.mark.parametrize(
    ("length", "status"),
    [(MOST_BYTES + 1, 413), (10**15, 413), (MOST_BYTES, None)],
    ids=["over", "far over", "allowed"],
)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(edge: Edge, length: int, status: int | None) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as caller:
        caller.sendall(f"POST /alerts HTTP/1.1\r\nHost: relay\r\nContent-Length: {length}\r\n\r\n".encode())
        if status is None:
            caller.settimeout(0.5)
            with pytest.raises(TimeoutError):
                caller.recv(1000)
            return
        answer = caller.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_large"
    assert edge.counted(RELAY_REFUSED, reason="too_large") == 1


def test_a_chunked_body_that_grows_too_large_is_refused(edge: Edge) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as caller:
        caller.sendall(b"POST /alerts HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"
        try:
            for _ in range(MOST_BYTES // 100_000 + 2):
                caller.sendall(chunk)
            answer = caller.recv(1000)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert edge.counted(RELAY_REFUSED, reason="too_large") == 1


def test_a_notice_that_comes_again_is_accepted_and_changes_nothing(edge: Edge) -> None:
    sent = notice()
    assert post_event(edge.url, sent).json() == {"status": "accepted", "accepted": 1}
    assert post_event(edge.url, sent).json() == {"status": "accepted", "repeated": 1}
    later = datetime.now(UTC) + timedelta(seconds=5)
    assert post_event(edge.url, sent, sent_at=later).json() == {"status": "accepted", "repeated": 1}
    assert len(edge.cards()) == 1
    assert edge.counted(RELAY_SUPPRESSED, type="circuit_opened") == 0


def test_each_new_notice_within_the_window_is_counted(edge: Edge) -> None:
    for _ in range(4):
        post_event(edge.url, notice())
    post_event(edge.url, notice(state="resolved"))
    assert [(card["kind"], card["suppressed"]) for card in edge.cards()] == [("firing", 0), ("recovery", 3)]
    assert edge.counted(RELAY_SUPPRESSED, type="circuit_opened") == 3


@pytest.mark.parametrize("seconds", [-301, -86_400, 301], ids=["old", "a day old", "ahead"])
def test_a_notice_of_another_time_is_refused(edge: Edge, seconds: int) -> None:
    answer = post_event(edge.url, notice(), sent_at=datetime.now(UTC) + timedelta(seconds=seconds))
    assert (answer.status_code, answer.json()["code"]) == (401, "timestamp")
    assert edge.counted(RELAY_REFUSED, reason="timestamp") == 1


def test_a_notice_signed_with_another_secret_is_refused(edge: Edge) -> None:
    assert post_event(edge.url, notice(), secret=OTHER_SECRET).status_code == 401
    assert edge.counted(RELAY_REFUSED, reason="signature") == 1


def test_a_second_signature_may_be_the_right_one(edge: Edge) -> None:
    body, headers = event(notice())
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']}"
    assert requests.post(f"{edge.url}/events", data=body, headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "other"),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", "9" * 400),
        ("webhook-timestamp", "-1"),
        ("webhook-signature", "v1"),
        ("webhook-signature", ",,,"),
        ("webhook-signature", "v1,%%%"),
        ("webhook-signature", ""),
    ],
)
def test_a_header_that_was_changed_is_refused(edge: Edge, header: str, value: str) -> None:
    body, headers = event(notice())
    answer = requests.post(f"{edge.url}/events", data=body, headers={**headers, header: value}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature")


def test_a_body_that_was_changed_is_refused(edge: Edge) -> None:
    body, headers = event(notice())
    for changed in (body + b" ", body.replace(b"kaway", b"other"), b"\xff"):
        assert requests.post(f"{edge.url}/events", data=changed, headers=headers, timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("more", "field_name"),
    [
        ({"state": "odd"}, "data.state"),
        ({"at": "2026-01-01T00:00:00"}, "data.at"),
        ({"summary": "x" * 2001}, "data.summary"),
        ({"unknown": 1}, "data.unknown"),
    ],
    ids=["state", "no zone", "long", "unknown"],
)
def test_a_signed_event_that_is_no_notice_is_refused_by_its_field(
    edge: Edge, more: dict[str, Any], field_name: str
) -> None:
    answer = post_event(edge.url, notice(**more))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field_name)


def test_a_locked_file_is_answered_with_503_and_accepted_afterwards(edge: Edge, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "relay.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = post_alerts(edge.url, [alert()])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert requests.get(f"{edge.url}/health/ready", timeout=10).status_code == 503
        assert requests.get(f"{edge.url}/health/live", timeout=10).status_code == 200
        other.execute("ROLLBACK")
    assert edge.counted(RELAY_REFUSED, reason="unavailable") == 1
    assert post_alerts(edge.url, [alert()]).status_code == 200
    assert requests.get(f"{edge.url}/health/ready", timeout=10).status_code == 200
    assert len(edge.cards()) == 1


def test_a_full_file_is_answered_with_503_and_accepted_afterwards(edge: Edge) -> None:
    with edge.store.write() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    answers = [post_alerts(edge.url, [alert(f"agent{number}")]) for number in range(100)]
    accepted = [answer.status_code for answer in answers].count(200)
    assert {answer.status_code for answer in answers} == {200, 503}
    assert len(edge.cards()) == accepted
    with edge.store.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert post_alerts(edge.url, [alert("last")]).status_code == 200


def test_500_alerts_of_20_issues_make_20_messages_that_count_all(edge: Edge) -> None:
    began_at = datetime.now(UTC) - timedelta(minutes=5)
    alerts = [
        alert(f"agent{number % 20}", started_at=began_at + timedelta(milliseconds=number)) for number in range(500)
    ]
    _together(edge.url, alerts)
    assert len(edge.cards()) == 20
    post_alerts(edge.url, [alert(f"agent{number}", firing=False) for number in range(20)])
    cards = edge.cards()
    assert [card["kind"] for card in cards[20:]] == ["recovery"] * 20
    accepted = edge.counted(RELAY_SIGNALS, path="alertmanager", outcome="accepted") - 20
    repeated = edge.counted(RELAY_SIGNALS, path="alertmanager", outcome="repeated")
    # Those of one issue that are overtaken on the way by a newer one are repetitions.
    assert accepted + repeated == 500
    assert 20 + sum(card["suppressed"] for card in cards) == accepted


def _together(url: str, alerts: Sequence[object]) -> None:
    def send(part: Sequence[object]) -> None:
        with requests.Session() as session:
            for one in part:
                session.post(f"{url}/alerts", data=webhook(one), headers=AUTHORIZED, timeout=20).raise_for_status()

    threads = [threading.Thread(target=send, args=(alerts[first::8],)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_liveness_tells_which_thread_hangs(edge: Edge) -> None:
    edge.problems.append("the ticker hangs")
    answer = requests.get(f"{edge.url}/health/live", timeout=10)
    assert (answer.status_code, answer.json()["problems"]) == (503, ["the ticker hangs"])


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/alerts", 405), ("GET", "/nowhere", 404)])
def test_other_addresses_are_answered_with_a_problem(edge: Edge, method: str, path: str, status: int) -> None:
    answer = requests.request(method, f"{edge.url}{path}", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_only_the_relays_metrics_are_told(edge: Edge) -> None:
    text = requests.get(f"{edge.url}/metrics", timeout=10).text
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE marketplace_")}
    assert told == {metric.name for metric in RELAY_METRICS}
