"""What there is to say of a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: Stands for the configured agents, which are only known at run time.
AGENTS = ("<agent>",)


@dataclass(frozen=True)
class Metric:
    """One metric: its name, what kind it is, and every value that its labels can take."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    #: Read from the source of truth when scraped, by `app.levels`; not set in a process.
    level: bool = False
    #: Of gauges that are no levels: how those of several processes become one. `live`, for the dead have none.
    together: Literal["livesum", "livemax"] | None = None
    #: Told by the relay, and by no other process.
    relay: bool = False
