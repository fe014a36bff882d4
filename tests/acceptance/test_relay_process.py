"""`marketplace relay` as users start it: its settings, its end, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.promtool import findings_of
from tests.relay_process import (
    AUTHORIZED,
    EVENTS_SECRET,
    RelayProcess,
    alert,
    notice,
    post_alerts,
    post_event,
    running_relay,
    webhook,
)
from tests.servers import taken_port, wait_until
from tests.web_process import MARKETPLACE

pytestmark = pytest.mark.process


def started(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARKETPLACE_")}
    named = {f"MARKETPLACE_RELAY__{name}": value for name, value in variables.items()}
    return subprocess.run(
        [str(MARKETPLACE), "relay"],
        env={**kept, "MARKETPLACE_RELAY__FILE": str(tmp_path / "relay.db"), **named},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ALERTMANAGER_URL": "http://127.0.0.1:1"}, ["EVENTS_SECRET: is missing", "ALERTMANAGER_TOKEN: is missing"]),
        ({"EVENTS_SECRET": "whsec_c2hvcnQ="}, ["EVENTS_SECRET: must be"]),
        ({"EVENTS_SECRET": EVENTS_SECRET, "ALERTMANAGER_TOKEN": "short"}, ["ALERTMANAGER_TOKEN: must have"]),
        ({"EVENTS_SECRET": EVENTS_SECRET, "FILE": "/dev/null/relay.db"}, ["RELAY__FILE: cannot be used"]),
    ],
    ids=["missing", "weak secret", "short token", "file"],
)
def test_settings_that_cannot_work_are_all_named_and_never_shown(
    tmp_path: Path, variables: dict[str, str], named: list[str]
) -> None:
    found = started(tmp_path, **variables)
    assert found.returncode == 2
    assert all(text in found.stderr for text in named), found.stderr
    assert EVENTS_SECRET not in found.stderr
    assert "Traceback" not in found.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    port = RelayProcess(tmp_path).port
    with taken_port(port):
        found = started(tmp_path, EVENTS_SECRET=EVENTS_SECRET, PORT=str(port))
    assert found.returncode == 5
    assert f"port {port}" in found.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with running_relay(tmp_path) as relay:
        post_event(relay.url, notice()).raise_for_status()
        with requests.Session() as kept:
            kept.get(f"{relay.url}/health/live", timeout=10)
            began_at = time.monotonic()
            relay.send_signal(number)
            assert relay.process is not None
            assert relay.process.wait(15) == 0
            assert time.monotonic() - began_at < 10
    logged = [line["event"] for line in relay.log()]
    assert (logged[0], logged[-1]) == ("relay_started", "relay_stopped")
    assert len(relay.cards()) == 1


def test_a_signal_ends_it_while_its_file_is_locked(tmp_path: Path) -> None:
    with running_relay(tmp_path) as relay, closing(sqlite3.connect(relay.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sending = threading.Thread(target=lambda: post_alerts(relay.url, [alert()]))
        sending.start()
        sending.join(30)
        relay.send_signal(signal.SIGTERM)
        assert relay.process is not None
        assert relay.process.wait(20) == 0


@pytest.mark.parametrize(
    ("variables", "by"),
    [
        ({}, "log_only"),
        ({"slack_webhook_url": "http://127.0.0.1:1/hook"}, "webhook"),
        ({"slack_bot_token": "xoxb-1", "slack_channel": "C1"}, "bot"),
    ],
    ids=["none", "webhook", "bot"],
)
def test_it_says_how_messages_reach_slack(tmp_path: Path, variables: dict[str, str], by: str) -> None:
    with running_relay(tmp_path, **variables) as relay:
        pass
    assert relay.log()[0]["slack"] == by


def test_everything_that_was_accepted_before_a_kill_is_in_the_file(tmp_path: Path) -> None:
    accepted: list[str] = []
    guard, stop = threading.Lock(), threading.Event()

    def storm(sender: int) -> None:
        with requests.Session() as session:
            number = 0
            while not stop.is_set():
                agent = f"agent-{sender}-{number}"
                number += 1
                try:
                    answer = session.post(
                        f"{relay.url}/alerts", data=webhook(alert(agent)), headers=AUTHORIZED, timeout=10
                    )
                except requests.RequestException:
                    stop.wait(0.02)
                    continue
                if answer.status_code == 200:
                    with guard:
                        accepted.append(agent)

    with running_relay(tmp_path) as relay:
        threads = [threading.Thread(target=storm, args=(sender,)) for sender in range(6)]
        for thread in threads:
            thread.start()
        for kills in (1, 2):
            wait_until(lambda kills=kills: len(accepted) > 150 * kills, seconds=60, what="the storm")  # type: ignore[misc]
            relay.kill()
            relay.start()
        seen = len(accepted)
        wait_until(lambda: len(accepted) > seen + 50, seconds=60, what="the storm after the restarts")
        stop.set()
        for thread in threads:
            thread.join(30)
        told = [card["subject"]["agent"] for card in relay.cards()]
    assert set(accepted) <= set(told)
    assert len(told) == len(set(told))


def test_the_window_and_the_count_outlive_a_kill(tmp_path: Path) -> None:
    with running_relay(tmp_path, window_seconds="6") as relay:
        for _ in range(3):
            post_event(relay.url, notice()).raise_for_status()
        relay.kill()
        relay.start()
        cards = wait_until(lambda: relay.cards()[1:] and relay.cards(), what="the update")
    assert [(card["kind"], card["suppressed"]) for card in cards] == [("firing", 0), ("update", 2)]


def test_an_alert_that_is_held_counts_when_the_hold_is_over(tmp_path: Path) -> None:
    with running_relay(tmp_path, window_seconds="1", hold_seconds="6") as relay:
        ended_at = datetime.now(UTC)
        post_event(relay.url, notice(at=(ended_at - timedelta(seconds=1)).isoformat())).raise_for_status()
        post_event(relay.url, notice(state="resolved", at=ended_at.isoformat())).raise_for_status()
        held = alert(started_at=ended_at + timedelta(milliseconds=1))
        assert post_alerts(relay.url, [held]).json() == {"status": "accepted", "held": 1}
        cards = wait_until(lambda: relay.cards()[2:] and relay.cards(), what="the alert that stayed")
    assert [card["kind"] for card in cards] == ["firing", "recovery", "firing"]


def test_silence_of_watchdog_is_told_and_its_return_too(tmp_path: Path) -> None:
    with running_relay(tmp_path, watchdog_seconds="2") as relay:
        [blind] = wait_until(relay.cards, what="the silence")
        relay.kill()
        relay.start()
        post_alerts(relay.url, [alert(name="MarketplaceWatchdog")]).raise_for_status()
        cards = wait_until(lambda: relay.cards()[1:] and relay.cards(), what="the return")
    assert (blind["alert"], blind["severity"], blind["kind"]) == ("MarketplaceMonitoringBlind", "critical", "firing")
    assert cards[1]["kind"] == "recovery"


def test_without_a_token_no_alertmanager_is_expected(tmp_path: Path) -> None:
    with running_relay(tmp_path, alertmanager_token=None, watchdog_seconds="2") as relay:
        pass
    assert relay.log()[0]["expects_alertmanager"] is False


def test_its_metrics_are_sound_and_few(tmp_path: Path) -> None:
    with running_relay(tmp_path) as relay:
        text = requests.get(f"{relay.url}/metrics", timeout=10).text
    assert findings_of(text) == []
    assert sum(not line.startswith("#") for line in text.splitlines()) < 500
