"""The phrase that marks a panel which rightly has no data most of the time.

Grafana's schema has no field for it, so it stands in the panel's description, where a person reads it too. Who writes
dashboards and who checks that every panel has data share it from here.
"""

from __future__ import annotations

#: Part of the description of a panel that shows events only, such as firing alerts.
EVENT_ONLY = "Empty while nothing has happened"
