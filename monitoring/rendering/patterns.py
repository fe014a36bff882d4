"""Patterns that tell areas apart without colour."""

from __future__ import annotations

from markupsafe import Markup

from monitoring.rendering.svg import element, group

#: Strokes of each pattern in a square of 8 by 8; the first is plain.
_STROKES = ("", "M0,8L8,0", "M0,4H8", "M0,0L8,8", "M4,0V8", "M0,8L8,0M0,0L8,8", "M2,2h.1M6,6h.1")


def pattern_fill(index: int) -> str:
    """Return what `fill` says for a pattern, over again from the first when there are no more."""
    place = index % len(_STROKES)
    return f"url(#pattern-{place})" if place else "none"


def pattern_definitions() -> Markup:
    """Return the definitions, which must stand once in a document."""
    return element(
        "defs",
        group(
            *(
                element(
                    "pattern",
                    element("path", d=strokes, class_="hatch"),
                    id=f"pattern-{index}",
                    width=8,
                    height=8,
                    patternUnits="userSpaceOnUse",
                )
                for index, strokes in enumerate(_STROKES)
                if strokes
            )
        ),
    )
