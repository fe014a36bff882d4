"""Elements of SVG as escaped text: whatever an answer or a dashboard holds, it stays text."""

from __future__ import annotations

import math
import re

from markupsafe import Markup, escape

#: Characters that no XML document may hold, not even as a reference (XML 1.0, section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: object) -> str:
    r"""Return the text with a replacement character for each that XML forbids.

    >>> clean("a\x00b") == "a\ufffdb"
    True
    """
    return _FORBIDDEN.sub("\ufffd", str(text))


def number(value: float) -> str:
    """Return a coordinate, to a hundredth.

    >>> number(3.0), number(1 / 3)
    ('3', '0.33')
    """
    if not math.isfinite(value):
        return "0"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(part: float) -> str:
    """Return a part of 1 as a percentage, to a thousandth.

    >>> percent(0.5)
    '50%'
    """
    text = f"{part * 100:.3f}".rstrip("0").rstrip(".")
    return f"{'0' if text == '-0' else text}%"


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element; children that are no Markup are escaped, attributes of None are left out.

    In names of attributes `_` stands for `-`, and one at the end is dropped, as in `class_`.

    >>> element("text", "<b>", x=1.5, text_anchor="end")
    Markup('<text x="1.5" text-anchor="end">&lt;b&gt;</text>')
    """
    parts = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
        if value is not None
    ]
    head = Markup("<") + name + Markup("").join(parts)
    inner = group(*children)
    return head + Markup(">") + inner + Markup("</") + name + Markup(">") if inner else head + Markup("/>")


def group(*children: object) -> Markup:
    """Return the children one after the other."""
    return Markup("").join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)


def _attribute(value: object) -> str:
    return number(value) if isinstance(value, float | int) and not isinstance(value, bool) else clean(value)


def cut(text: str, width: float, size: float = 12.0) -> str:
    """Return the text, cut to what fits into `width` pixels at a font size, with an ellipsis where it was cut.

    >>> cut("a long name", 40)
    'a lo…'
    """
    room = int(width / (size * CHARACTER))
    return text if len(text) <= room else text[: max(room - 1, 1)].rstrip() + "…"


#: Width of an average character of a sans-serif font, as part of the font size; a little wide, so that texts fit.
CHARACTER = 0.56


def text_width(text: str, size: float = 12.0) -> float:
    """Return about how wide a text is, in pixels."""
    return len(text) * size * CHARACTER
