"""A time of day that tests move, for every Python process that has this folder on its path.

Python imports a module of this name at its start. SHIFTED_CLOCK_FILE names a file that holds the seconds by which the
clock is wrong.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_file = Path(os.environ["SHIFTED_CLOCK_FILE"])
_time_ns = time.time_ns


def _shifted_ns() -> int:
    return _time_ns() + int(_file.read_text(encoding="ascii")) * 1_000_000_000


time.time_ns = _shifted_ns
time.time = lambda: _shifted_ns() / 1e9
