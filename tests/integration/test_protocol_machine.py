"""Random orders of moves and faults against the real store and the real protocol, on both databases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.protocol.orders import DEFECTS, Defect, machine_on, orders_until_noticed, run_orders


def test_no_order_of_moves_and_faults_breaks_the_protocol(database_url: str, tmp_path: Path) -> None:
    # As many as take a few seconds.
    with machine_on(database_url, tmp_path) as sound:
        run_orders(sound, most=30 if database_url.startswith("sqlite") else 10, new=False)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_protocol_is_noticed(defect: Defect, sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "marketplace.db")
    assert orders_until_noticed(defect, f"sqlite:///{tmp_path / 'marketplace.db'}", tmp_path, new=False)
