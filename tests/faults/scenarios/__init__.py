"""Every scenario, by name."""

from __future__ import annotations

from tests.faults.scenario import Scenario
from tests.faults.scenarios.databases import LOCK_SQLITE, RESTART_POSTGRESQL
from tests.faults.scenarios.freeze_worker import FREEZE_AWAY, FREEZE_WORKER
from tests.faults.scenarios.kill_worker import KILL_WORKER
from tests.faults.scenarios.poison import LETHAL_JOB, POISON
from tests.faults.scenarios.repetition import DELIVER_TWICE, TWO_SCHEDULERS
from tests.faults.scenarios.rolling_restart import ROLLING_RESTART
from tests.faults.scenarios.valkey import FLUSH_VALKEY, RESTART_VALKEY, VALKEY_AWAY

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        KILL_WORKER,
        FREEZE_WORKER,
        FREEZE_AWAY,
        RESTART_VALKEY,
        FLUSH_VALKEY,
        VALKEY_AWAY,
        RESTART_POSTGRESQL,
        LOCK_SQLITE,
        TWO_SCHEDULERS,
        DELIVER_TWICE,
        ROLLING_RESTART,
        POISON,
        LETHAL_JOB,
    )
}
