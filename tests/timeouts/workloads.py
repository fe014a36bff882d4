"""Agents for the comparison of timeouts: how long each call would take if one waited for ever."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

#: Output tokens of the requests of two minutes (430 of them) of the public trace AzureLLMInferenceTrace_conv, 2023,
#: github.com/Azure/AzurePublicDataset: (share of requests, at most so many tokens).
_TOKENS = (
    (0.00, 12),
    (0.05, 34),
    (0.10, 43),
    (0.25, 63),
    (0.50, 95),
    (0.65, 140),
    (0.70, 200),
    (0.74, 380),
    (0.80, 400),
    (0.90, 424),
    (0.95, 450),
    (0.97, 550),
    (0.99, 610),
    (1.00, 660),
)
#: A 70 billion parameter model on a busy server: seconds to the first token, and for each one after it.
_FIRST_TOKEN_SECONDS, _TOKEN_SECONDS = 0.5, 0.07


@dataclass(frozen=True)
class Workload:
    """One agent. `draw` takes the source of chance and how far the run is (0 to 1): size of the plan, seconds."""

    name: str
    title: str
    draw: Callable[[Random, float], tuple[int, float]]


def _size(chance: Random) -> int:
    return chance.randrange(10, 150)


def _log_normal(median: float, sigma: float) -> Callable[[Random, float], tuple[int, float]]:
    return lambda chance, _at: (_size(chance), chance.lognormvariate(math.log(median), sigma))


def _two_humps(chance: Random, _at: float) -> tuple[int, float]:
    median, sigma = (12.0, 0.3) if chance.random() < 0.3 else (2.0, 0.35)
    return _size(chance), chance.lognormvariate(math.log(median), sigma)


def _by_size(chance: Random, _at: float) -> tuple[int, float]:
    size = chance.randrange(20, 600)
    return size, (3 + 0.1 * size) * chance.lognormvariate(0, 0.25)


def _step(chance: Random, at: float) -> tuple[int, float]:
    slower = 4.0 if 1 / 3 <= at < 2 / 3 else 1.0
    return _size(chance), slower * chance.lognormvariate(math.log(4), 0.4)


def _pareto(chance: Random, _at: float) -> tuple[int, float]:
    return _size(chance), 2 * chance.paretovariate(1.8)


def _recorded(chance: Random, _at: float) -> tuple[int, float]:
    share = chance.random()
    at = min(bisect_right(_TOKENS, (share, math.inf)), len(_TOKENS) - 1)
    (low, few), (high, many) = _TOKENS[at - 1], _TOKENS[at]
    tokens = few + (many - few) * (share - low) / (high - low)
    return _size(chance), _FIRST_TOKEN_SECONDS + tokens * _TOKEN_SECONDS


WORKLOADS = (
    Workload("quick", "log-normal, median 2 s", _log_normal(2.0, 0.4)),
    Workload("log_normal", "log-normal, median 4 s", _log_normal(4.0, 0.5)),
    Workload("slow", "log-normal, median 25 s", _log_normal(25.0, 0.4)),
    Workload("two_humps", "two humps, at 2 s and (three in ten) at 12 s", _two_humps),
    Workload("by_size", "grows with the plan, 5 to 63 s", _by_size),
    Workload("step", "4 s, in the middle third 16 s", _step),
    Workload("pareto", "heavy tail: Pareto from 2 s, exponent 1.8", _pareto),
    Workload("recorded", "recorded numbers of tokens of a chat model", _recorded),
)
