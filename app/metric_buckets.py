"""Upper bounds of the buckets of histograms."""

from __future__ import annotations

#: Seconds; story 4.5 names 10 ms to 10 s, agents need up to 120 s.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Seconds; fewer, for every bucket is there for each method and status.
HTTP_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
AGENT_BUCKETS = (*LATENCY_BUCKETS, 30.0, 60.0, 120.0)
#: Seconds; timeouts of agents lie between 10 and 120.
TIMEOUT_BUCKETS = (10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 90.0, 120.0)
#: Seconds; the pauses are 1, 5 and 30 s, or what an agent asks for.
PAUSE_BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

#: Seconds; a circuit is open for a minute or so at a time.
RECOVERY_BUCKETS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0)

#: Jobs; beyond 50 the stories call a queue backed up.
DEPTH_BUCKETS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

#: Seconds; 99 of 100 refusals are to be answered within 0.1 s.
REFUSAL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

#: Seconds; a message is to be in Slack within 5, and may wait through an outage.
MESSAGE_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
