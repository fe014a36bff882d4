"""The files into which processes count together: reads those that prometheus_client writes in its multi-process mode.

Its own reader parses every key of every file at every scrape (docs/decisions/shared-metrics.md has what that costs).
Keys are only ever appended, so what was parsed once stands for as long as a file has not grown, and reading it anew
takes one call.

The format: 4 bytes with the length in use, 4 of padding; then for each value 4 bytes with the length of its key, the
key as JSON, padding to 8 bytes, the value and a timestamp as doubles (prometheus_client/mmap_dict.py, version 0.26).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_LENGTH = struct.Struct("=i")
_HEADER_BYTES = 8
#: A value and its timestamp.
_VALUE_BYTES = 16


@dataclass(frozen=True, eq=False)
class Layout:
    """Which keys a file has, and where their values are. Files of processes that count the same share one.

    `prefix` is what the values are: `counter`, `histogram`, or `gauge_` and how gauges of several processes become one.
    """

    prefix: str
    keys: tuple[str, ...]
    values: struct.Struct


class MetricFiles:
    """Reads the files of a directory, again and again; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        #: By name, inode and length in use.
        self._known: dict[tuple[str, int, int], Layout] = {}
        #: By prefix and keys.
        self._layouts: dict[tuple[str, tuple[str, ...]], Layout] = {}

    def read(self) -> Mapping[Layout, list[tuple[float, ...]]]:
        """Return the values of every file that has any, by layout and in the order of its keys."""
        found: dict[Layout, list[tuple[float, ...]]] = {}
        known = {}
        for path in sorted(self._directory.glob("*.db")):
            try:
                with path.open("rb") as file:
                    inode, data = os.fstat(file.fileno()).st_ino, file.read()
            except FileNotFoundError:  # gauges of a dead process, removed meanwhile
                continue
            used = _LENGTH.unpack_from(data)[0] if len(data) >= _HEADER_BYTES else 0
            if used <= _HEADER_BYTES:  # its process has only just begun
                continue
            layout = self._known.get((path.name, inode, used)) or self._parse(path.name, data[:used])
            known[path.name, inode, used] = layout
            found.setdefault(layout, []).append(layout.values.unpack_from(data))
        self._known = known
        # Of processes that were just beginning there is no end; they are not kept.
        self._layouts = {(layout.prefix, layout.keys): layout for layout in found}
        return found

    def _parse(self, name: str, data: bytes) -> Layout:
        prefix = name.rpartition("_")[0]
        keys, gaps, end = [], [], 0
        for key, position in _entries(data):
            keys.append(key)
            gaps.append(position - end)
            end = position + 8
        return self._layouts.setdefault(
            (prefix, tuple(keys)),
            Layout(prefix, tuple(keys), struct.Struct("=" + "".join(f"{gap}xd" for gap in gaps))),
        )


def _entries(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield each key, and the position of its value."""
    position = _HEADER_BYTES
    while position < len(data):
        length = _LENGTH.unpack_from(data, position)[0]
        start = position + _LENGTH.size
        position = start + length + 8 - (length + _LENGTH.size) % 8
        yield data[start : start + length].decode(), position
        position += _VALUE_BYTES
