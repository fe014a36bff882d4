"""Frozen processes: alive for the operating system, but without a sign of being well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from app.presence import last_beats

#: Seconds without a sign after which a process is taken for frozen; processes that are well give one every second.
LIMIT_SECONDS = 10.0
#: Seconds between two looks.
_LOOK_SECONDS = 1.0
#: When this many seconds lie between two looks, we stood still ourselves, and perhaps the whole machine.
_STALL_SECONDS = 5.0


class Silence:
    """Watches the presence files in a directory; see `app.presence`.

    What counts is that a file's time changes, by our own monotonic clock: the time of day may jump.
    """

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._looked_at = clock()
        self._beats: dict[int, tuple[int, float]] = {}

    def frozen(self) -> Sequence[int]:
        """Return the ids of the processes that have been silent for longer than the limit; looks once a second."""
        now = self._clock()
        elapsed = now - self._looked_at
        if elapsed < _LOOK_SECONDS:
            return []
        self._looked_at = now
        known = {} if elapsed > _STALL_SECONDS else self._beats
        self._beats = {}
        for process_id, beat in last_beats(self._directory).items():
            before, since = known.get(process_id, (None, now))
            self._beats[process_id] = (beat, since if beat == before else now)
        return [process_id for process_id, (_, since) in self._beats.items() if now - since > LIMIT_SECONDS]
