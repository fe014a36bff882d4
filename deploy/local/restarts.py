"""When a program that ended is started again, and how often that is said."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds after which a process has proved that it can run.
SETTLED_SECONDS = 3.0
#: Longest pause before a restart, in seconds.
LONGEST_PAUSE_SECONDS = 10.0
#: The same thing of the same program is said at most this often, in seconds.
_SAY_AGAIN_SECONDS = 10.0


class Restarts:
    """How long one program that ended waits before it starts again.

    Not at all when its process had settled; else 1, 2, 4, 8 and at most 10 s. A process that ended well was asked to,
    by an operator who restarts one after the other: its pause is left out once.
    """

    def __init__(self) -> None:
        self._early = 0

    def pause_seconds(self, code: int, lived_seconds: float) -> float:
        """Return the pause after an end with this code (as `Popen.returncode`).

        >>> restarts = Restarts()
        >>> [restarts.pause_seconds(1, lived) for lived in (60.0, 0.1, 0.1, 0.1, 0.1, 0.1, 60.0, 0.1)]
        [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 0.0, 1.0]
        """
        if lived_seconds >= SETTLED_SECONDS:
            self._early = 0
            return 0.0
        self._early += 1
        if code == 0 and self._early == 1:
            return 0.0
        return min(2.0 ** (self._early - 1), LONGEST_PAUSE_SECONDS)


class Notices:
    """Messages for a person about programs: repeats within 10 s are counted, and told with the next one."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, program: str, what: str, then: str = "") -> None:
        """Say what happened to a program, `then` with it; what tells a repeat is the program and what happened."""
        now = self._clock()
        said_at, repeats = self._said.get((program, what), (float("-inf"), 0))
        if now - said_at < _SAY_AGAIN_SECONDS:
            self._said[program, what] = (said_at, repeats + 1)
            return
        self._said[program, what] = (now, 0)
        times = f" ({repeats + 1} times)" if repeats else ""
        self._say(f"{program} {what}{times}{then}")
