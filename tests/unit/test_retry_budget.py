from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.retry_budget import MEMORY_SECONDS, RetryBudget


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def granted(budget: RetryBudget, wanted: int) -> int:
    """Return how many of these retries are allowed."""
    return sum(budget.withdraw() for _ in range(wanted))


def test_first_calls_allow_a_share_of_retries() -> None:
    budget = RetryBudget(0.25, 0, now=Clock())
    for _ in range(40):
        budget.deposit()
    assert granted(budget, 1000) == 10


def test_without_first_calls_and_reserve_nothing_is_retried() -> None:
    assert granted(RetryBudget(0.25, 0, now=Clock()), 10) == 0


def test_the_reserve_lets_rare_jobs_be_retried_from_the_start() -> None:
    assert granted(RetryBudget(0, 1.0, now=Clock()), 1000) == MEMORY_SECONDS


def test_a_used_up_reserve_comes_back_second_by_second() -> None:
    clock = Clock()
    budget = RetryBudget(0, 1.0, now=clock)
    granted(budget, 1000)
    allowed = 0
    for _ in range(10):
        clock.at += 1
        allowed += granted(budget, 1000)
    assert allowed in {8, 9}
    clock.at += 1000
    assert granted(budget, 1000) == pytest.approx(MEMORY_SECONDS, abs=1)


def test_what_is_not_used_fades() -> None:
    clock = Clock()
    budget = RetryBudget(1.0, 0, now=clock)
    for _ in range(1000):
        budget.deposit()
    clock.at += 10 * MEMORY_SECONDS
    assert granted(budget, 10) == 0


@given(
    ratio=st.floats(0, 1),
    reserve=st.floats(0, 5),
    moves=st.lists(st.tuples(st.sampled_from(["first", "retry"]), st.floats(0, 30)), max_size=200),
)
def test_the_bound_holds_for_every_sequence(ratio: float, reserve: float, moves: list[tuple[str, float]]) -> None:
    clock = Clock()
    budget, begun_at, firsts, retries = RetryBudget(ratio, reserve, now=clock), clock.at, 0, 0
    for move, pause in moves:
        clock.at += pause
        if move == "first":
            budget.deposit()
            firsts += 1
        else:
            retries += budget.withdraw()
        assert retries <= ratio * firsts + reserve * (clock.at - begun_at + MEMORY_SECONDS) + 1e-6
