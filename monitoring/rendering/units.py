"""Numbers as Grafana shows them, by its unit ids.

Source of ids and steps: Grafana's `packages/grafana-data/src/valueFormats/categories.ts`; the numbers of decimals are
our own: three digits that count, no trailing zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

#: From this power of ten on numbers are written with an exponent.
_MOST_DIGITS = 15

_Format = Callable[[float, int | None], str]

_SHORT = ("", " K", " Mil", " Bil", " Tri", " Quadr", " Quint")
_SI = ("", " k", " M", " G", " T", " P", " E")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")

#: Seconds of each unit of time, smallest first.
_TIMES = (
    (1e-9, "ns"),
    (1e-6, "µs"),
    (1e-3, "ms"),
    (1.0, "s"),
    (60.0, "min"),
    (3600.0, "h"),
    (86_400.0, "d"),
    (7 * 86_400.0, "weeks"),
    (365.25 * 86_400.0, "years"),
)

#: Units that are a number with a text after it.
_SUFFIXES: Mapping[str, str] = {
    "reqps": "req/s",
    "rps": "rd/s",
    "wps": "wr/s",
    "iops": "io/s",
    "ops": "ops/s",
    "cps": "c/s",
    "eps": "evt/s",
    "mps": "msg/s",
    "opm": "ops/min",
    "cpm": "c/min",
    "reqpm": "req/min",
    "rpm": "rd/min",
    "hertz": "Hz",
    "celsius": "°C",
}


def format_value(value: float, unit: str = "", decimals: int | None = None) -> str:
    """Return a number with its unit.

    Args:
        value: In the base that the unit id says: `percent` 0-100, `percentunit` 0-1, dates in milliseconds.
        unit: Grafana's id; one that is not known is written after the number, as Grafana does.
        decimals: Fixed number of decimals, None to choose by size.

    >>> format_value(0.1234, "percentunit"), format_value(1536, "bytes"), format_value(90, "s")
    ('12.3%', '1.5 KiB', '1.5 min')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    known = _FORMATS.get(unit)
    return known(value, decimals) if known else _free(value, unit, decimals)


def _free(value: float, unit: str, decimals: int | None) -> str:
    """Return a number with a unit that is no fixed id: `prefix:`, `suffix:`, `si:`, `time:`, or just words."""
    kind, _, rest = unit.partition(":")
    if kind == "prefix":
        return rest + plain(value, decimals)
    if kind == "time":
        return _iso(value, decimals)
    words = rest if kind in {"si", "suffix"} and rest else _SUFFIXES.get(unit, unit)
    return f"{plain(value, decimals)} {words}".rstrip()


def plain(value: float, decimals: int | None = None) -> str:
    """Return a number without a unit.

    >>> plain(0.000123456), plain(1234.5678), plain(2.0), plain(3.14159, 2)
    ('0.000123', '1235', '2', '3.14')
    """
    if decimals is not None:
        text = f"{value:.{decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude >= _MOST_DIGITS:
        return f"{value:.3g}"
    places = min(max(2 - magnitude, 0), 12)
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _scaled(steps: Sequence[str], base: float, gap: str = "") -> _Format:
    def text(value: float, decimals: int | None) -> str:
        power = 0
        while abs(value) >= base and power < len(steps) - 1:
            value, power = value / base, power + 1
        return f"{plain(value, decimals)}{gap}{steps[power]}"

    return text


def _rate(inner: _Format) -> _Format:
    return lambda value, decimals: f"{inner(value, decimals)}/s"


def _percent(factor: float) -> _Format:
    return lambda value, decimals: f"{plain(value * factor, decimals)}%"


def _time(seconds_per_unit: float) -> _Format:
    def text(value: float, decimals: int | None) -> str:
        seconds = value * seconds_per_unit
        if seconds == 0:
            # Zero has no size of its own, so it keeps the unit that was asked for.
            return f"0 {next(name for size, name in _TIMES if size >= seconds_per_unit)}"
        size, name = next((step for step in reversed(_TIMES) if abs(seconds) >= step[0]), _TIMES[0])
        return f"{plain(seconds / size, decimals)} {name}"

    return text


def _clock(value: float, _decimals: int | None) -> str:
    """Return seconds as days, hours, minutes and seconds."""
    seconds = round(abs(value))
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count}{name}")
    return ("-" if value < 0 else "") + " ".join(parts[:2])


def _iso(milliseconds: float, _decimals: int | None) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return plain(milliseconds)


def _either(yes: str, no: str) -> _Format:
    return lambda value, _decimals: yes if value else no


def _plain(value: float, decimals: int | None) -> str:
    return plain(value, decimals)


_FORMATS: Mapping[str, _Format] = {
    "": _plain,
    "none": _plain,
    "string": _plain,
    "locale": lambda value, decimals: f"{value:,.{decimals or 0}f}",
    "short": _scaled(_SHORT, 1000),
    "sishort": _scaled(_SI, 1000),
    "percent": _percent(1),
    "percentunit": _percent(100),
    "bytes": _scaled(_BINARY, 1024, " "),
    "decbytes": _scaled(_DECIMAL, 1000, " "),
    "binBps": _rate(_scaled(_BINARY, 1024, " ")),
    "Bps": _rate(_scaled(_DECIMAL, 1000, " ")),
    "ns": _time(1e-9),
    "µs": _time(1e-6),
    "ms": _time(1e-3),
    "s": _time(1),
    "m": _time(60),
    "h": _time(3600),
    "d": _time(86_400),
    "dtdurations": _clock,
    "clocks": _clock,
    "dtdurationms": lambda value, decimals: _clock(value / 1000, decimals),
    "dateTimeAsIso": _iso,
    "dateTimeAsIsoNoDateIfToday": _iso,
    "dateTimeAsUS": _iso,
    "dateTimeAsLocal": _iso,
    "dateTimeAsSystem": _iso,
    "dateTimeFromNow": _iso,
    "bool": _either("True", "False"),
    "bool_yes_no": _either("Yes", "No"),
    "bool_on_off": _either("On", "Off"),
    "currencyUSD": lambda value, decimals: f"${_scaled(('', 'K', 'M', 'B'), 1000)(value, decimals)}",
}

#: Units whose round numbers are powers of two.
BINARY_UNITS = frozenset({"bytes", "binBps"})
