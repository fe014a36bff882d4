"""The sentence by which whoever shows a dashboard knows that a panel may be empty."""

from __future__ import annotations

#: Ends the description of a panel that has nothing to show while nothing has happened.
EVENT_ONLY = "Empty while nothing has happened"
