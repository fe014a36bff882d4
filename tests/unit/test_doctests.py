from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "alerting.messages.blocks",
        "alerting.messages.untrusted_text",
        "alerting.messages.times",
        "app.domain.channels",
        "app.domain.plain_text",
        "app.domain.retry",
        "app.outbound.replies",
        "app.outbound.targets",
        "monitoring.rendering.regexes",
        "monitoring.rendering.scale",
        "monitoring.rendering.series",
        "monitoring.rendering.svg",
        "monitoring.rendering.theme",
        "monitoring.rendering.time_range",
        "monitoring.rendering.units",
    ],
)
def test_the_examples_in_docstrings_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
