from __future__ import annotations

import threading

from alerting.ticker import Ticker
from app.domain.errors import DatabaseUnavailableError
from app.live_metrics import LiveMetrics
from app.metrics import RELAY_METRICS
from app.pulse import Pulse
from tests.servers import wait_until


def test_a_chore_that_fails_does_not_keep_the_others_from_being_done() -> None:
    done = threading.Event()

    def locked() -> None:
        raise DatabaseUnavailableError("locked")

    def broken() -> None:
        raise ZeroDivisionError

    metrics = LiveMetrics(metrics=RELAY_METRICS)
    ticker = Ticker({"locked": locked, "broken": broken, "last": done.set}, metrics)
    ticker.start()
    assert done.wait(20)
    assert ticker.problems() == []
    ticker.stop()
    found = metrics.registry.get_sample_value("marketplace_unexpected_errors_total", {"place": "relay_tick"})
    assert found == 1


def test_a_ticker_that_hangs_or_has_died_is_a_problem() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        go_on.wait(60)

    ticker = Ticker({"hang": hang}, LiveMetrics(metrics=RELAY_METRICS))
    ticker.start()
    assert entered.wait(20)
    ticker._pulse = Pulse(0.0)
    assert ticker.problems() == ["the ticker hangs"]
    go_on.set()
    ticker.stop()
    ticker._pulse = Pulse(1000.0)
    assert wait_until(ticker.problems) == ["the ticker hangs"]
