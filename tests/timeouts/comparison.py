"""Three policies on every workload, at every share of calls that hang: what each one cuts off and wastes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from random import Random

from tests.timeouts.closed_loop import Fixed, Learned, Outcome, Policy, Ruled, run
from tests.timeouts.workloads import WORKLOADS

HANG_SHARES = (0.001, 0.01, 0.05)
SEEDS = (1, 2, 3)

#: The policies, and how one is made for a run with this seed.
POLICIES: Mapping[str, Callable[[int], Policy]] = {
    "fixed": lambda _seed: Fixed(10.0),
    "rule": lambda _seed: Ruled(),
    "learned": lambda seed: Learned(Random(f"probes {seed}")),
}

#: What the learned policy must reach over all workloads, at each share of calls that hang.
MOST_CUT, MOST_WASTE = 0.015, 0.60


@dataclass(frozen=True)
class Cell:
    """All seeds of one policy on one workload."""

    workload: str
    hang_share: float
    policy: str
    outcome: Outcome


def compare(calls: int) -> list[Cell]:
    """Run everything, on every core; each run makes so many calls."""
    cells = list(product(range(len(WORKLOADS)), HANG_SHARES, POLICIES, (calls,)))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_cell, cells))


def total(cells: Iterable[Cell], policy: str, hang_share: float) -> Outcome:
    """Return what a policy did at this share of calls that hang, over all workloads."""
    outcomes = (cell.outcome for cell in cells if cell.policy == policy and cell.hang_share == hang_share)
    return sum(outcomes, Outcome())


def missed(cells: Sequence[Cell]) -> list[str]:
    """Return every threshold that the learned policy missed, in words."""
    found = []
    for share in HANG_SHARES:
        learned, rule = total(cells, "learned", share), total(cells, "rule", share)
        if learned.cut_share > MOST_CUT:
            found.append(f"learned cuts off {learned.cut_share:.2%} of the healthy calls when {share:.1%} hang")
        if learned.wasted_seconds > MOST_WASTE * rule.wasted_seconds:
            part = learned.wasted_seconds / rule.wasted_seconds
            found.append(f"learned wastes {part:.0%} of what the rule wastes when {share:.1%} hang")
    return found


def _cell(of: tuple[int, float, str, int]) -> Cell:
    number, hang_share, policy, calls = of
    workload = WORKLOADS[number]
    outcomes = (
        run(
            POLICIES[policy](seed),
            workload,
            hang_share=hang_share,
            calls=calls,
            seed=f"{workload.name} {hang_share} {seed}",
        )
        for seed in SEEDS
    )
    return Cell(workload.name, hang_share, policy, sum(outcomes, Outcome()))
