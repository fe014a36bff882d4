"""Alert, panel and runbook lead to each other, each way."""

from __future__ import annotations

import pytest

from app.domain.alerts import WATCHDOG
from tests.alert_cases import RULES
from tests.artifacts.dashboard_lint import explained_alerts
from tests.artifacts.dashboard_parts import committed, panels

_EXPLAINED = {
    (board["uid"], name)
    for board in committed().values()
    for panel in panels(board)
    for name in explained_alerts(panel)
}


@pytest.mark.parametrize("name", sorted(RULES.keys() - {WATCHDOG.name}))
def test_the_dashboard_that_an_alert_leads_to_has_a_panel_that_leads_to_its_runbook(name: str) -> None:
    for rule in RULES[name]:
        assert (rule.dashboard.value, name) in _EXPLAINED
