"""What is promised, and from where on something is wrong: one number for rules, dashboards and runs alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """One promise: the share of events that must be good, from 0 to 1.

    `name` is the value of the label `slo` of the series recorded for it.
    """

    name: str
    title: str
    target: float

    @property
    def budget(self) -> float:
        """Return the share of events that may be bad.

        >>> round(JOB_LATENCY.budget, 6)
        0.01
        """
        return 1.0 - self.target


#: Source of all three: docs/decisions/objectives.md.
JOB_SUCCESS = Objective("job_success", "Jobs that complete", 0.99)
JOB_LATENCY = Objective("job_latency", "Jobs done within 5 s", 0.99)
AVAILABILITY = Objective("availability", "Requests answered without an error of ours", 0.999)
OBJECTIVES = (JOB_SUCCESS, JOB_LATENCY, AVAILABILITY)

#: Seconds from the approval of a plan to its completed Phase 1 job; an edge of the histogram's buckets. Analyses take
#: as long as language models take: nothing is promised for them.
JOB_LATENCY_SECONDS = 5.0


@dataclass(frozen=True)
class BurnRate:
    """How much faster than allowed a budget is used up, within a long window and a short one, both recorded.

    The short window ends the alert soon after the cause has ended.
    """

    factor: float
    long: str
    short: str


#: Source of the four: https://sre.google/workbook/alerting-on-slos/, "Multiwindow, Multi-Burn-Rate Alerts".
BURN_FAST = BurnRate(14.4, "1h", "5m")
BURN_SLOW = BurnRate(6.0, "6h", "30m")
BURN_DAY = BurnRate(3.0, "1d", "2h")
BURN_THREE_DAYS = BurnRate(1.0, "3d", "6h")
BURN_RATES = (BURN_FAST, BURN_SLOW, BURN_DAY, BURN_THREE_DAYS)

#: Bad events from which on a share of bad events tells something: one failure among five jobs wakes nobody.
LEAST_BAD_EVENTS = 3

#: Jobs that wait; beyond it the stories call a queue backed up, and it is an edge of the histogram of depth.
QUEUE_DEPTH = 50
#: Seconds that the oldest claimable job may have waited.
OLDEST_SECONDS = 5.0
#: Seconds that emptying a queue may take at the present rates.
DRAIN_SECONDS = 600.0
#: Share of the workers' threads in use, from 0 to 1.
BUSY_RATIO = 0.9
#: Openings and recoveries of a circuit within 10 minutes. Probes that fail do not count: an agent that is simply dead
#: has two changes a minute, and does not flap.
FLAPS = 6
#: Seconds within which calls that an open circuit refuses are answered, and the share of them that must be.
REFUSAL_SECONDS = 0.1
REFUSAL_SHARE = 0.99
#: Share of a process's Redis connections in use, from 0 to 1: 45 of 50.
POOL_RATIO = 0.9
#: Seconds that a notice may wait for the relay, which mostly has it within one.
NOTICE_SECONDS = 60.0
#: Seconds that a message may wait for Slack, and messages that may wait: a digest tells of many at once.
MESSAGE_SECONDS = 300.0
MESSAGES_WAITING = 100
#: Share of an agent's calls that may fail; from there on dashboards show it as bad.
AGENT_ERROR_RATIO = 0.05
