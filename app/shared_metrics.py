"""Metrics of several processes of one machine, told as one: each counts into files of a directory that they share.

Whoever starts the processes sets `PROMETHEUS_MULTIPROC_DIR`, and empties the directory before. docs/howto/metrics.md
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from app.domain.errors import ConfigurationError
from app.metric_files import Layout, MetricFiles

#: Read by prometheus_client as well, when it is imported: it cannot be a setting of ours.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

#: How gauges of several processes become one, by the name that prometheus_client has for it; all else is added up.
_COMBINED: Mapping[str, Callable[[Iterable[float]], float]] = {"gauge_livemax": max}

_LOCK_SUFFIX = ".lock"

#: Far longer than a scrape takes to look whether a process lives.
_LOOK_SECONDS = 5.0


def shared_directory() -> Path | None:
    """Return the directory into which this process is to count, or None when it keeps its metrics to itself.

    Raises:
        ConfigurationError: There is no such directory, or it cannot be written to.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given is None:
        return None
    directory = Path(given)
    if not given or not directory.is_dir():
        raise ConfigurationError(f"{DIRECTORY_VARIABLE}: must name a directory that exists, or not be set at all")
    try:
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise ConfigurationError(f"{DIRECTORY_VARIABLE}: cannot be written to ({error.strerror})") from None
    return directory


class SharedMetrics(Collector):
    """Tells the metrics of all processes that count into the directory; safe to use from many threads.

    A process that has died keeps its counters, for they must not go back; its gauges go. It is told from the living by
    a lock, which the operating system frees however a process ends; process ids are given to others again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = MetricFiles(directory)
        self._guard = threading.Lock()
        self._layouts: frozenset[Layout] = frozenset()
        self._families: Sequence[_Family] = ()
        self._lock = _held_lock(directory, os.getpid())
        _remove_gauges(directory, os.getpid())

    def close(self) -> None:
        """Count this process among the dead."""
        self._lock.close()

    def collect(self) -> Iterator[Family]:
        """Yield every metric, summed up over the processes."""
        with self._guard:
            self._sweep()
            found = self._files.read()
            if found.keys() != self._layouts:
                self._families = _families(found)
                self._layouts = frozenset(found)
            families = self._families
        values = _combine(found)
        for family in families:
            yield family.tell(values)

    def _sweep(self) -> None:
        """Remove the gauges of processes that have died."""
        owners = {path.stem.rpartition("_")[2] for path in self._directory.glob("gauge_live*.db")}
        for process_id in map(int, filter(str.isdecimal, owners - {str(os.getpid())})):
            with _open_lock(self._directory, process_id) as lock, contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_gauges(self._directory, process_id)


@dataclass
class _Child:
    """One histogram: its labels, the key of its sum, and the labels and the key of each bucket."""

    labels: dict[str, str]
    sum_key: str = ""
    buckets: list[tuple[dict[str, str], str]] = field(default_factory=list)


@dataclass
class _Family:
    """One metric: where its values are, for each combination of labels."""

    name: str
    help: str
    kind: str
    #: Of counters and gauges: what a sample is called, its labels, its key.
    plain: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    #: Of histograms, by their labels.
    children: dict[str, _Child] = field(default_factory=dict)

    def add(self, key: str, sample: str, labels: dict[str, str]) -> None:
        """Add one value."""
        if self.kind != "histogram":
            self.plain.append((sample, labels, key))
            return
        bound = labels.pop("le", None)
        child = self.children.setdefault(json.dumps(labels), _Child(labels))
        if bound is None:
            child.sum_key = key
        else:
            child.buckets.append(({**labels, "le": bound}, key))

    def tell(self, values: Mapping[str, float]) -> Family:
        """Return the metric as prometheus_client encodes it."""
        family = Family(self.name, self.help, self.kind)
        family.samples = [Sample(name, labels, values[key]) for name, labels, key in self.plain]
        for child in self.children.values():
            # Each process created its buckets from the lowest to the highest.
            counts = list(accumulate(values[key] for _, key in child.buckets))
            family.samples += [
                Sample(f"{self.name}_bucket", labels, count)
                for (labels, _), count in zip(child.buckets, counts, strict=True)
            ]
            family.samples.append(Sample(f"{self.name}_count", child.labels, counts[-1]))
            family.samples.append(Sample(f"{self.name}_sum", child.labels, values[child.sum_key]))
        return family


def _families(layouts: Iterable[Layout]) -> list[_Family]:
    """Return the metrics of these layouts, in the order in which they were created."""
    families: dict[str, _Family] = {}
    for key, prefix in {key: layout.prefix for layout in layouts for key in layout.keys}.items():
        name, sample, labels, text = json.loads(key)
        families.setdefault(name, _Family(name, text, prefix.partition("_")[0])).add(key, sample, labels)
    return list(families.values())


def _combine(found: Mapping[Layout, Sequence[tuple[float, ...]]]) -> Mapping[str, float]:
    """Return one value for each key."""
    values: dict[str, float] = {}
    for layout, columns in found.items():
        combine = _COMBINED.get(layout.prefix, sum)
        for key, value in zip(layout.keys, map(combine, zip(*columns, strict=True)), strict=True):
            values[key] = combine((values[key], value)) if key in values else value
    return values


def empty_directory(directory: Path) -> None:
    """Make the directory, or remove what processes before have left in it: their counts would be told for ever.

    Raises:
        ConfigurationError: Processes still count into it, or it cannot be written to.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in directory.glob(f"*{_LOCK_SUFFIX}"):
            with path.open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in (*directory.glob("*.db"), *directory.glob(f"*{_LOCK_SUFFIX}")):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        raise ConfigurationError(f"{DIRECTORY_VARIABLE}: other processes count into this directory") from None
    except OSError as error:
        raise ConfigurationError(f"{DIRECTORY_VARIABLE}: cannot be emptied ({error.strerror})") from None


def _open_lock(directory: Path, process_id: int) -> BinaryIO:
    return (directory / f"process_{process_id}{_LOCK_SUFFIX}").open("ab")


def _held_lock(directory: Path, process_id: int) -> BinaryIO:
    """Return the lock, taken; somebody may be looking whether we live, which takes no time.

    Raises:
        ConfigurationError: Another process has this id, in another container, or this one has its metrics already.
    """
    lock = _open_lock(directory, process_id)
    end = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                lock.close()
                raise ConfigurationError(
                    f"{DIRECTORY_VARIABLE}: a process with this id counts into it already;"
                    " containers need a directory each"
                ) from None
            time.sleep(0.01)
        else:
            return lock


def _remove_gauges(directory: Path, process_id: int) -> None:
    for path in directory.glob(f"gauge_live*_{process_id}.db"):
        path.unlink(missing_ok=True)
