"""The inbox as a page: messages drawn about as Slack draws them, without a script, safe for hostile texts."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from loadtest.slack_inbox import Message
from loadtest.slack_markup import link, mrkdwn, plain, rich_text

#: Newest messages that the page shows.
_MOST_SHOWN = 200

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #383a3f); --dim: light-dark(#616061, #ababad);
  --link: light-dark(#1264a3, #5cb3f0); --chip: light-dark(#fbf3d5, #4a3d14); --code: light-dark(#c01343, #f28b82); }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.46 system-ui, sans-serif; background: light-dark(#fff, #1a1d21);
  color: light-dark(#1d1c1d, #d1d2d3); height: 100vh; display: flex; flex-direction: column }
header { padding: .6rem 1rem; border-bottom: 1px solid var(--line) }
h1 { font-size: 1rem; margin: 0; display: inline }
.dim, time, figcaption, details { color: var(--dim); font-size: .85em }
/* The newest is at the bottom, and in sight without a script: a reversed box begins at its end. */
main { flex: 1; overflow-y: auto; display: flex; flex-direction: column-reverse }
ol { list-style: none; margin: 0; padding: 0 }
.message { padding: .5rem 1rem; max-width: 50rem; overflow-wrap: anywhere }
.replies { margin-left: 2rem; border-left: 2px solid var(--line) }
.block { white-space: pre-wrap; unicode-bidi: isolate; margin: .35rem 0 }
.block p { margin: 0 } .block ul, .block ol { margin: 0; padding-left: 1.4rem; list-style: revert }
h2 { font-size: 1.15em; margin: .35rem 0; white-space: pre-wrap; unicode-bidi: isolate }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .35rem 1rem }
.context { color: var(--dim); font-size: .85em }
.button { display: inline-block; border: 1px solid var(--line); border-radius: 6px; padding: .2rem .7rem;
  margin: 0 .5rem .3rem 0; font-weight: 600; font-size: .87em; text-decoration: none; color: inherit }
.button a { color: inherit; text-decoration: none }
.primary { background: #007a5a; color: #fff; border-color: #007a5a } .danger { color: #e01e5a; border-color: #e01e5a }
a { color: var(--link) } hr { border: 0; border-top: 1px solid var(--line) }
.mention { background: var(--chip); border-radius: 3px; padding: 0 2px }
code, pre { font-family: ui-monospace, monospace; font-size: .85em; border: 1px solid var(--line); border-radius: 3px }
code { color: var(--code); padding: 0 3px } pre { padding: .5rem; margin: .2rem 0; white-space: pre-wrap }
.quote { display: block; border-left: 4px solid var(--line); padding-left: .6rem }
.app { font-size: .65em; background: var(--line); border-radius: 2px; padding: 0 3px; vertical-align: middle }
"""

#: Of the page: no script, no picture, no request, and no style but its own.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def inbox_page(messages: Sequence[Message], *, behaviour: str) -> str:
    """Return the page with the newest messages, newest last, replies under what they reply to."""
    shown = messages[-_MOST_SHOWN:]
    names = {(message.channel, message.ts) for message in shown}
    replies: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
    first: list[Message] = []
    for message in shown:
        thread = (message.channel, message.thread_ts or "")
        (replies[thread] if thread in names else first).append(message)
    items = "".join(_message(message, replies[message.channel, message.ts]) for message in first)
    empty = '<p class="message dim">No message yet.</p>'
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">'
        '<meta name="viewport" content="width=device-width"><title>Fake Slack</title>'
        f"<style>{_STYLE}</style>"
        f'<header><h1>Fake Slack</h1> <span class="dim">{len(messages)} messages; it behaves: {escape(behaviour)}'
        "</span></header>"
        f"<main><div>{f'<ol>{items}</ol>' if items else empty}</div></main></html>"
    )
    # JSON can carry halves of characters, which no page can.
    return page.encode(errors="replace").decode()


def _message(message: Message, replies: Sequence[Message] = ()) -> str:
    at = message.received_at
    edited = "" if message.edited_at is None else ' <span class="dim edited">(edited)</span>'
    body = "".join(_block(block) for block in message.blocks if isinstance(block, dict))
    if not body:
        body = f'<div class="block">{mrkdwn(message.text, styles=message.mrkdwn)}</div>'
    else:
        body += f"<details><summary>notification</summary>{mrkdwn(message.text)}</details>"
    thread = f'<ol class="replies">{"".join(map(_message, replies))}</ol>' if replies else ""
    return (
        f'<li class="message"><strong>relay</strong> <span class="app">APP</span> '
        f'<time datetime="{at.isoformat()}">{at:%H:%M:%S}</time> <span class="dim">#{escape(message.channel)}</span>'
        f"{edited}{body}{thread}</li>"
    )


def _block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "header":
            return f"<h2>{_text(block.get('text'))}</h2>"
        case "section":
            text = f'<div class="block">{_text(block["text"])}</div>' if block.get("text") else ""
            fields = "".join(f'<div class="block">{_text(field)}</div>' for field in block.get("fields") or ())
            button = _button(block["accessory"]) if block.get("accessory") else ""
            return text + (f'<div class="fields">{fields}</div>' if fields else "") + button
        case "context":
            texts = "".join(f'<div class="block context">{_text(element)}</div>' for element in block["elements"])
            return f"<div>{texts}</div>"
        case "actions":
            return f"<div>{''.join(map(_button, block['elements']))}</div>"
        case "rich_text":
            return f'<div class="block">{"".join(map(rich_text, block["elements"]))}</div>'
        case _:
            return "<hr>"


def _text(text: object) -> str:
    if not isinstance(text, dict):
        return ""
    value = str(text.get("text", ""))
    return mrkdwn(value) if text.get("type") == "mrkdwn" else plain(value)


def _button(button: Mapping[str, Any]) -> str:
    style = "button" if button.get("style") is None else f"button {escape(str(button['style']))}"
    return f'<span class="{style}">{link(str(button.get("url", "")), _text(button.get("text")))}</span>'
