"""The timeout of one call to an agent: what the rule says, what was learned, and which of them holds.

docs/decisions/adaptive-timeouts.md
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.learned_timeout import LearnedTimeout
from app.domain.timeout_rule import RuleTimeout


class TimeoutMode(StrEnum):
    """Which timeout holds; in every mode but `rule` both are known, and `shadow` only shows the learned one."""

    RULE = "rule"
    LEARNED = "learned"
    SHADOW = "shadow"


class TimeoutPolicy(StrEnum):
    """Where the timeout of a call comes from; a probe gets the whole ceiling, to see what lies beyond the bound."""

    RULE = "rule"
    LEARNED = "learned"
    PROBE = "probe"


@dataclass(frozen=True)
class AgentCall:
    """A call that was made: `size` as in `CallSample`, `limit_seconds` as it was in the end, `outcome` as counted."""

    agent: str
    purpose: str
    size: int
    seconds: float
    limit_seconds: float
    outcome: str
    probe: bool


@dataclass(frozen=True)
class AgentTimeout:
    """What holds for one call, and why; `learned_seconds` is None while too little is known of the agent.

    `configured_seconds` is the agent's own limit in the list of agents, which nothing exceeds.
    """

    agent: str
    mode: TimeoutMode
    policy: TimeoutPolicy
    seconds: float
    rule: RuleTimeout
    learned_seconds: float | None
    configured_seconds: float | None

    def report(self) -> dict[str, object]:
        """Return the breakdown as camelCase JSON, all in seconds."""
        return {
            "agent": self.agent,
            "seconds": round(self.seconds, 3),
            "policy": self.policy,
            "rule": {
                "base": self.rule.base,
                "opportunities": round(self.rule.opportunities, 3),
                "transitions": self.rule.transitions,
                "peak": self.rule.peak,
                "total": round(self.rule.total, 3),
                "seconds": round(self.rule.seconds, 3),
            },
            "learnedSeconds": None if self.learned_seconds is None else round(self.learned_seconds, 3),
            "configuredSeconds": self.configured_seconds,
        }


def choose_timeout(
    agent: str,
    mode: TimeoutMode,
    *,
    rule: RuleTimeout,
    learned: LearnedTimeout | None,
    size: int,
    probe: bool,
    configured_seconds: float | None,
) -> AgentTimeout:
    """Return the timeout that holds: the learned one in mode `learned`, when there is one; else the rule's.

    `probe` tells that this call shall see the whole ceiling, where a learned timeout would hold.
    """
    policy, seconds = TimeoutPolicy.RULE, rule.seconds
    if mode is TimeoutMode.LEARNED and learned is not None:
        if probe:
            policy, seconds = TimeoutPolicy.PROBE, learned.most_seconds
        else:
            policy, seconds = TimeoutPolicy.LEARNED, learned.seconds(size)
    return AgentTimeout(
        agent=agent,
        mode=mode,
        policy=policy,
        seconds=seconds if configured_seconds is None else min(seconds, configured_seconds),
        rule=rule,
        learned_seconds=None if learned is None else learned.seconds(size),
        configured_seconds=configured_seconds,
    )
