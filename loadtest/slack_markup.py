"""Slack's markup as HTML: what it would turn into a link, a mention or bold type, and nothing else.

Everything that comes out is escaped. What is a mention here would notify people there, so a hostile text shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

_EMOJI = {
    "bell": "🔔",
    "fire": "🔥",
    "information_source": "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "warning": "⚠️",
    "white_check_mark": "✅",
}

_CONTROL = re.compile(r"<([^<>\n]+)>")
_PREFORMATTED = re.compile(r"```(.+?)```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_BARE_URL = re.compile(r"https?://[^\s\x00|]+[^\s\x00|.,;:!?)\]]")
_STYLES = (
    (re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])"), "strong"),
    (re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)"), "em"),
    (re.compile(r"(?<![\w~])~([^~\n]+)~(?![\w~])"), "s"),
)
_QUOTE = re.compile(r"^&gt; ?(.*)$", re.MULTILINE)
_KEPT = re.compile("\x00([0-9]+)\x00")


def plain(text: str) -> str:
    """Return a plain text as HTML; only names of emoji mean something in it."""
    return re.sub(r":([a-z_]+):", lambda found: _EMOJI.get(found[1], found[0]), escape(_read(text)))


def mrkdwn(text: str, *, styles: bool = True) -> str:
    """Return a text in Slack's markup as HTML; without `styles` only links and mentions mean something in it.

    >>> mrkdwn("*down* <!channel> &lt;b&gt;")
    '<strong>down</strong> <b class="mention">@channel</b> &lt;b&gt;'
    """
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\x00{len(kept) - 1}\x00"

    # NUL marks the places of what is finished, so it must come from nowhere else.
    marked = _CONTROL.sub(lambda found: keep(_control(found[1])), text.replace("\x00", ""))
    if styles:
        marked = _PREFORMATTED.sub(lambda found: keep(f"<pre>{plain(found[1])}</pre>"), marked)
        marked = _CODE.sub(lambda found: keep(f"<code>{plain(found[1])}</code>"), marked)
    marked = _BARE_URL.sub(lambda found: keep(link(_read(found[0]), plain(found[0]))), marked)
    html = plain(marked)
    if styles:
        for style, tag in _STYLES:
            html = style.sub(rf"<{tag}>\1</{tag}>", html)
        html = _QUOTE.sub(r'<span class="quote">\1</span>', html)
    while _KEPT.search(html):
        html = _KEPT.sub(lambda found: kept[int(found[1])], html)
    return html


def link(url: str, label: str) -> str:
    """Return a link; `label` is HTML. What is no web address stays text."""
    if _scheme(url) not in {"http", "https", "mailto"}:
        return label
    return f'<a href="{escape(url)}" rel="noreferrer">{label}</a>'


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def mention(name: str) -> str:
    """Return what notifies somebody."""
    return f'<b class="mention">@{escape(name)}</b>'


def rich_text(element: Mapping[str, Any]) -> str:
    """Return an element of a `rich_text` block as HTML."""
    inner = [part for part in element.get("elements", ()) if isinstance(part, dict)]
    match element.get("type"):
        case "rich_text_list":
            tag = "ol" if element.get("style") == "ordered" else "ul"
            return f"<{tag}>{''.join(f'<li>{rich_text(part)}</li>' for part in inner)}</{tag}>"
        case "rich_text_quote":
            return f'<p class="quote">{"".join(map(_inline, inner))}</p>'
        case "rich_text_preformatted":
            return f"<pre>{''.join(map(_inline, inner))}</pre>"
        case _:
            return f"<p>{''.join(map(_inline, inner))}</p>"


def _inline(part: Mapping[str, Any]) -> str:
    render = _INLINE.get(str(part.get("type")))
    html = escape(str(part)) if render is None else render(part)
    style = part.get("style")
    for name, tag in (("code", "code"), ("bold", "strong"), ("italic", "em"), ("strike", "s")):
        if isinstance(style, dict) and style.get(name):
            html = f"<{tag}>{html}</{tag}>"
    return html


_INLINE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    # Unlike markup, the texts of rich text are taken as they are.
    "text": lambda part: escape(str(part.get("text", ""))),
    "link": lambda part: link(str(part.get("url", "")), escape(str(part.get("text") or part.get("url", "")))),
    "user": lambda part: mention(str(part.get("user_id"))),
    "usergroup": lambda part: mention(str(part.get("usergroup_id"))),
    "broadcast": lambda part: mention(str(part.get("range"))),
    "channel": lambda part: mention(str(part.get("channel_id"))),
    "emoji": lambda part: _EMOJI.get(str(part.get("name")), f":{escape(str(part.get('name')))}:"),
    "date": lambda part: escape(str(part.get("fallback") or part.get("timestamp"))),
}


def _control(content: str) -> str:
    """Return what stands in angle brackets: a mention, or a link."""
    if content[0] in "@#":
        return mention(_read(content[1:]))
    target, _, label = content.partition("|")
    if target.startswith("!date^"):
        return plain(label)
    if target.startswith("!"):
        return mention(_read(label or target[1:].rpartition("^")[2]))
    return link(_read(target), plain(label or target))


def _read(text: str) -> str:
    """Undo the escapes of Slack's markup, the only three that it has."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
