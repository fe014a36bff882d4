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

#: Seconds from approval or request to completion; an edge of the histogram's buckets.
JOB_LATENCY_SECONDS = 5.0

#: Jobs that wait; beyond it the stories call a queue backed up, and it is an edge of the histogram of depth.
QUEUE_DEPTH = 50
#: Seconds that the oldest claimable job may have waited.
OLDEST_SECONDS = 5.0
#: Seconds that emptying a queue may take at the present rates.
DRAIN_SECONDS = 600.0
#: Share of the workers' threads in use, from 0 to 1.
BUSY_RATIO = 0.9
#: Changes of a circuit's state within 10 minutes.
FLAPS = 6
#: Seconds within which 99 of 100 calls that an open circuit refuses are answered.
REFUSAL_SECONDS = 0.1
#: Share of a process's Redis connections in use, from 0 to 1: 45 of 50.
POOL_RATIO = 0.9
#: Share of an agent's calls that may fail; from there on dashboards show it as bad.
AGENT_ERROR_RATIO = 0.05
