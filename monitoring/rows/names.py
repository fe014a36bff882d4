"""What the values of a state stand for, and their colours."""

from __future__ import annotations

from monitoring.panels.colours import BAD, GOOD, UNEASY

#: States of a circuit, as `circuit_states` numbers them.
CIRCUITS = {0.0: ("closed", GOOD), 1.0: ("half open", UNEASY), 2.0: ("open", BAD)}
UP_OR_DOWN = {0.0: ("down", BAD), 1.0: ("up", GOOD)}
PAUSED_OR_NOT = {0.0: ("works", GOOD), 1.0: ("paused", UNEASY)}
QUEUE_OR_IN_PLACE = {0.0: ("queue", GOOD), 1.0: ("in place", UNEASY)}
