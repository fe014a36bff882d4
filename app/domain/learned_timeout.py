"""A timeout learned from how long an agent's recent calls took.

The bound is the larger of two. T1 is what a log-normal agent needs: the mean of the logarithms of the durations, and a
number of deviations. T2 is where few enough healthy calls are cut off and least time is wasted, whatever the shape.

A call that timed out was not answered *by then*, and that is all that is known of it. Leaving such calls out makes the
bound smaller each time it is learned; counting them as slow answers drives it to the ceiling when calls hang. Here they
weigh as the method of Kaplan and Meier has it, and how many of them would have been answered is learned from the calls
that had far more time than the bound: some are probes, and all are while too little is known.

Source: docs/decisions/adaptive-timeouts.md, with what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

#: A larger part of a doubled size than this is no property of agents, but of too few samples.
_STEEPEST = 2.0

#: A limit that is this close to the ceiling counts as the ceiling: an attempt keeps a little of its time to write.
_NEARLY = 0.9

#: No duration is taken for shorter, in seconds: its logarithm is needed.
_SHORTEST = 0.001

#: Beyond every ceiling, and small enough for `exp`.
_LONGEST_LOG = 30.0

#: A share of calls that is none.
_NOBODY = 1e-9

#: While it is not known what becomes of the calls that time out, they get so many times as long as the latest answer.
_WIDER = 3.0
#: A bound grows beyond the latest answer by such steps.
_STEP = 1.25
#: A call that was given so many times as long as a bound tells whether those that it cuts off would be answered.
_FAR = 2.5


@dataclass(frozen=True)
class CallSample:
    """One call: the size of its question, how long it took, its limit, and whether it was answered within it."""

    size: int
    seconds: float
    limit_seconds: float
    answered: bool


@dataclass(frozen=True)
class Learning:
    """How timeouts are learned.

    `deviations` is for T1, `cut_share` for T2: the share of healthy calls that may be cut off. `half_life` is the
    number of calls after which one weighs half. What became of `enough_watched` calls that had far more time is
    believed. So many timeouts in a row as `outage_calls` are an outage, which tells nothing of healthy calls. With
    `burst_timeouts` among the newest `burst_calls`, where few are usual, only these are asked what becomes of such
    calls. The other numbers are seconds.
    """

    least_samples: int = 50
    deviations: float = 2.0
    cut_share: float = 0.01
    half_life: float = 300.0
    enough_watched: int = 5
    outage_calls: int = 10
    burst_calls: int = 20
    burst_timeouts: int = 6
    least_seconds: float = 10.0
    most_seconds: float = 120.0

    @property
    def whole_seconds(self) -> float:
        """The least limit that counts as the whole ceiling."""
        return self.most_seconds * _NEARLY


@dataclass(frozen=True)
class LearnedTimeout:
    """Both bounds as learned from `samples` calls; they grow with the `slope`th power of the size."""

    samples: int
    slope: float
    t1_log: float
    t2_log: float
    least_seconds: float
    most_seconds: float

    def t1(self, size: int) -> float:
        """Return the first bound for a question of this size, in seconds, not clamped."""
        return math.exp(min(self.t1_log + self.slope * math.log1p(size), _LONGEST_LOG))

    def t2(self, size: int) -> float:
        """Return the second bound."""
        return math.exp(min(self.t2_log + self.slope * math.log1p(size), _LONGEST_LOG))

    def seconds(self, size: int) -> float:
        """Return how long to wait for the answer to a question of this size; it never falls with the size."""
        return min(max(self.t1(size), self.t2(size), self.least_seconds), self.most_seconds)


@dataclass(frozen=True)
class _Point:
    """A sample with the influence of its size taken away; `at` and `limit` are logarithms of seconds."""

    at: float
    weight: float
    answered: bool
    limit: float


def learn_timeout(samples: Sequence[CallSample], learning: Learning) -> LearnedTimeout | None:
    """Return what these calls of one agent, newest first, teach; None while too few of them were answered."""
    samples = _without_outages(samples, learning.outage_calls)
    if sum(sample.answered for sample in samples) < learning.least_samples:
        return None
    weights = [0.5 ** (age / learning.half_life) for age in range(len(samples))]
    slope = _slope(samples, weights)
    points = [_point(sample, weight, slope, learning) for sample, weight in zip(samples, weights, strict=True)]
    curve = _survival(points)
    believed = points[: learning.burst_calls] if _is_burst(points, learning) else points
    return LearnedTimeout(
        samples=len(samples),
        slope=slope,
        t1_log=_deviating(curve, learning.deviations),
        t2_log=_cutting_few(curve, _watched(believed), learning),
        least_seconds=learning.least_seconds,
        most_seconds=learning.most_seconds,
    )


def _point(sample: CallSample, weight: float, slope: float, learning: Learning) -> _Point:
    by_size = slope * math.log1p(sample.size)
    whole = sample.limit_seconds >= learning.whole_seconds
    return _Point(
        at=_log(sample.seconds) - by_size,
        weight=weight,
        answered=sample.answered,
        limit=math.inf if whole else _log(sample.limit_seconds) - by_size,
    )


def _log(seconds: float) -> float:
    return math.log(max(seconds, _SHORTEST))


def _without_outages(samples: Sequence[CallSample], outage_calls: int) -> list[CallSample]:
    """Return the samples without runs of timeouts that are so long that the agent was down, and that have ended."""
    kept: list[CallSample] = []
    for answered, run in groupby(samples, key=lambda sample: sample.answered):
        calls = list(run)
        if answered or len(calls) < outage_calls or not kept:
            kept += calls
    return kept


def _slope(samples: Sequence[CallSample], weights: Sequence[float]) -> float:
    """Return the slope of log seconds over log (1 + size) among the answered calls, by weighted least squares."""
    rows = [
        (weight, math.log1p(sample.size), _log(sample.seconds))
        for sample, weight in zip(samples, weights, strict=True)
        if sample.answered
    ]
    total = sum(weight for weight, _, _ in rows)
    mean_x = sum(weight * x for weight, x, _ in rows) / total
    mean_y = sum(weight * y for weight, _, y in rows) / total
    spread = sum(weight * (x - mean_x) ** 2 for weight, x, _ in rows)
    if spread < total * 1e-6:
        return 0.0
    slope = sum(weight * (x - mean_x) * (y - mean_y) for weight, x, y in rows) / spread
    return min(max(slope, 0.0), _STEEPEST)


def _survival(points: Sequence[_Point]) -> list[tuple[float, float, float]]:
    """Return (time, share of calls answered at it, share not answered by then) for every answer, in order of time.

    Source: E. L. Kaplan, P. Meier, Nonparametric estimation from incomplete observations, 1958; weighted.
    """
    ordered = sorted(points, key=lambda point: (point.at, not point.answered))
    at_risk = list(accumulate(reversed([point.weight for point in ordered])))[::-1]
    left, curve = 1.0, []
    for point, risk in zip(ordered, at_risk, strict=True):
        if point.answered:
            share = left * point.weight / risk
            # What rounding leaves over is nobody.
            left = left - share if left - share > _NOBODY else 0.0
            curve.append((point.at, share, left))
    return curve


def _deviating(curve: Sequence[tuple[float, float, float]], deviations: float) -> float:
    """Return the mean of the answers' logarithms and so many deviations."""
    total = sum(share for _, share, _ in curve)
    mean = sum(share * at for at, share, _ in curve) / total
    variance = sum(share * (at - mean) ** 2 for at, share, _ in curve) / total
    return mean + deviations * math.sqrt(variance)


def _watched(points: Sequence[_Point]) -> list[tuple[float, bool]]:
    """Return, latest first, until which bound each call tells what becomes of those cut off, and what became of it.

    It tells so of a bound that it outlived, if it had far more time than that.
    """
    far = math.log(_FAR)
    known = (
        (min(point.at, point.limit - far) if point.answered else point.limit - far, point.answered) for point in points
    )
    return sorted(known, reverse=True)


def _cutting_few(
    curve: Sequence[tuple[float, float, float]], watched: Sequence[tuple[float, bool]], learning: Learning
) -> float:
    """Return the bound that wastes the least time of those that cut off few enough healthy calls.

    When even the latest answer does not seem to be late enough, more must be seen: the bound is far beyond it.
    """
    latest = curve[-1][0]
    best = math.inf, latest + math.log(_WIDER)
    seen, late = 0, 0
    # Backwards, so that what is answered after a time has been counted when that time is judged.
    for at, _, left in reversed(curve):
        while seen < len(watched) and watched[seen][0] > at:
            late += watched[seen][1]
            seen += 1
        # Of the calls that are not answered by then, the share that would be; a half, as long as nothing is known.
        slow = late / seen if seen >= learning.enough_watched else (late + 1) / (seen + 2)
        if left * slow > learning.cut_share:
            break
        if at == latest:
            # Nothing is known beyond; a step further, half of the slow ones may be answered.
            best = min(best, (math.exp(at) * _STEP * left * (1 - slow / 2), at + math.log(_STEP)))
        best = min(best, (math.exp(at) * left, at))
    return best[1]


def _is_burst(points: Sequence[_Point], learning: Learning) -> bool:
    """Tell whether so many of the newest calls timed out that what was watched before may not hold any more."""
    newest, before = points[: learning.burst_calls], points[learning.burst_calls :]
    timeouts = sum(not point.answered for point in newest)
    if timeouts < learning.burst_timeouts or not before:
        return False
    usual = sum(point.weight for point in before if not point.answered) / sum(point.weight for point in before)
    return timeouts > 4 * usual * len(newest)
