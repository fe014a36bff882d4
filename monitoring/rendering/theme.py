"""Colours in both themes, each computed so that it can be read on its background.

Grafana's colour names are kept. Its own shades are not: several fail WCAG 2 level AA on white or on black.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from typing import Literal

Theme = Literal["auto", "light", "dark"]

#: Contrast with the panel of each shade; 4.5 is what WCAG 2.1 AA (1.4.3) asks of text.
_CONTRAST = {"": 5.6, "-soft": 4.6, "-strong": 8.5}
#: Hue in degrees and saturation, 0-1.
_HUES: Mapping[str, tuple[float, float]] = {
    "green": (138, 0.62),
    "yellow": (46, 0.9),
    "blue": (214, 0.8),
    "orange": (24, 0.9),
    "red": (354, 0.75),
    "purple": (276, 0.6),
    "teal": (182, 0.75),
    "pink": (322, 0.65),
    "gray": (215, 0.08),
}
_SURFACES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "page": "#f3f4f6",
        "panel": "#ffffff",
        "text": "#1f2328",
        "muted": "#545c66",
        "line": "#d5d9de",
        "grid": "#e4e7eb",
    },
    "dark": {
        "page": "#0f1114",
        "panel": "#181b1f",
        "text": "#e2e4e8",
        "muted": "#a3a9b2",
        "line": "#363b42",
        "grid": "#2a2e34",
    },
}
#: Colours of series, in order: neighbours differ in hue, and those of the second round in shade.
_SERIES = ("blue", "orange", "green", "purple", "red", "teal", "yellow", "pink")
_ROUNDS = ("", "-strong", "-soft")

_PREFIXES = {"super-light-": "-soft", "light-": "-soft", "semi-dark-": "-strong", "dark-": "-strong"}
_VARIABLE = re.compile(r"var\(--([a-z-]+)\)")


def palette(theme: Literal["light", "dark"]) -> dict[str, str]:
    """Return every colour of a theme by name, as `#rrggbb`."""
    surfaces = _SURFACES[theme]
    shades = {
        f"{name}{suffix}": _shade(hue, saturation, surfaces["panel"], contrast)
        for name, (hue, saturation) in _HUES.items()
        for suffix, contrast in _CONTRAST.items()
    }
    return {**surfaces, **shades}


def css(theme: Theme) -> str:
    """Return the declarations of all colours; `auto` follows the reader's system."""
    if theme != "auto":
        return f":root{{color-scheme:{theme};{_declared(theme)}}}"
    return (
        f":root{{color-scheme:light dark;{_declared('light')}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{_declared('dark')}}}}}"
    )


def resolved(text: str, theme: Literal["light", "dark"]) -> str:
    """Return a text with colours in place of their variables, for programs that know no variables."""
    colours = palette(theme)
    return _VARIABLE.sub(lambda match: colours.get(match[1], match[0]), text)


def paint(name: str) -> str:
    """Return what an attribute says for a colour of the JSON: a name of Grafana's, `#rrggbb` or `rgb(r, g, b)`.

    Free colours become the nearest of ours, so that they too can be read in both themes.

    >>> paint("semi-dark-red"), paint("#73bf69"), paint("transparent"), paint("text")
    ('var(--red-strong)', 'var(--green)', 'none', 'var(--text)')
    """
    lowered = name.strip().lower()
    if lowered == "transparent":
        return "none"
    if lowered in {"text", "", "white", "black"}:
        return "var(--text)"
    for prefix, suffix in _PREFIXES.items():
        if lowered.startswith(prefix) and lowered.removeprefix(prefix) in _HUES:
            return f"var(--{lowered.removeprefix(prefix)}{suffix})"
    if lowered in _HUES:
        return f"var(--{lowered})"
    rgb = _rgb(lowered)
    return f"var(--{_nearest(rgb)})" if rgb else "var(--text)"


def series_colour(index: int) -> str:
    """Return the colour of the series at an index, as an attribute says it.

    >>> series_colour(0), series_colour(8)
    ('var(--blue)', 'var(--blue-strong)')
    """
    round_, place = divmod(index, len(_SERIES))
    return f"var(--{_SERIES[place]}{_ROUNDS[round_ % len(_ROUNDS)]})"


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, 1 to 21.

    Source: WCAG 2.1, "contrast ratio".

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return round((light + 0.05) / (dark + 0.05), 4)


def _declared(theme: Literal["light", "dark"]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette(theme).items())


def _shade(hue: float, saturation: float, background: str, wanted: float) -> str:
    """Return the shade of a hue with this contrast to the background, found by halving its lightness."""
    low, high = 0.0, 1.0
    darker = _luminance(background) > 0.5  # noqa: PLR2004 -- half way from black to white
    for _ in range(24):
        middle = (low + high) / 2
        too_weak = contrast(_hex(hue, middle, saturation), background) < wanted
        if too_weak == darker:
            high = middle
        else:
            low = middle
    return _hex(hue, low if darker else high, saturation)


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue / 360, lightness, saturation))


def _luminance(colour: str) -> float:
    parts = _rgb(colour) or (0.0, 0.0, 0.0)
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)  # noqa: PLR2004 -- WCAG
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(text: str) -> tuple[float, float, float] | None:
    """Return red, green and blue, 0-1, of `#rgb`, `#rrggbb`, `rgb()` or `rgba()`."""
    match = re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})(?:[0-9a-f]{2})?", text)
    if match:
        digits = match[1] if len(match[1]) > 3 else "".join(d * 2 for d in match[1])  # noqa: PLR2004 -- the short form
        return int(digits[:2], 16) / 255, int(digits[2:4], 16) / 255, int(digits[4:], 16) / 255
    match = re.fullmatch(r"rgba?\((\d+),\s*(\d+),\s*(\d+)(?:,.*)?\)", text)
    return (int(match[1]) / 255, int(match[2]) / 255, int(match[3]) / 255) if match else None


def _nearest(rgb: tuple[float, float, float]) -> str:
    hue, _, saturation = colorsys.rgb_to_hls(*rgb)
    if saturation < 0.15:  # noqa: PLR2004 -- below this a colour reads as grey
        return "gray"
    turns = {name: abs(hue * 360 - degrees) for name, (degrees, _) in _HUES.items() if name != "gray"}
    return min(turns, key=lambda name: min(turns[name], 360 - turns[name]))
