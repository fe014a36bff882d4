"""The pages behind a silence link: what would be silenced, and, once a person has confirmed, what was.

Programs follow links to draw previews of them, so looking changes nothing; only the form does.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, render_template, request

from alerting.messages.times import moment_text
from alerting.silences.alertmanager_api import create_silence
from alerting.silences.silence_links import HOURS, LinkOverError, SilenceLink, claim, is_used, keep, read_token, release
from alerting.store import Store
from app.domain.errors import DatabaseUnavailableError, NetworkError, NotAllowedError

_log = structlog.stdlib.get_logger(__name__)

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 40rem; padding: 1.5rem; font: 1rem/1.5 system-ui, sans-serif; }
dt { font-weight: 700; }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1rem; margin: 0 .5rem .5rem 0; }
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    f" style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}

#: Of the form, which has one number.
_MOST_BYTES = 1000


def silences(*, secret: str, store: Store, alertmanager_url: str, now: Callable[[], float] = time.time) -> Blueprint:
    """Return the pages, below `/silences`.

    Args:
        secret: What the links were signed with.
        store: Remembers which links were used.
        alertmanager_url: Root of Alertmanager.
        now: The present time, in seconds since 1970.
    """
    blueprint = Blueprint("silences", __name__, url_prefix="/silences", template_folder="templates")

    @blueprint.get("/<token>")
    def ask(token: str) -> Response:
        """Show what would be silenced, and ask for how long."""
        link = read_token(secret, token, now=now())
        with store.write() as connection:
            used = is_used(connection, link)
        if used:
            raise LinkOverError("this link has been used")
        return _page("Silence this alert?", link.matchers, hours=HOURS)

    @blueprint.post("/<token>")
    def silence(token: str) -> Response:
        """Silence it."""
        link = read_token(secret, token, now=now())
        request.max_content_length = _MOST_BYTES
        hours = request.form.get("hours", type=int)
        if hours not in HOURS:
            return _page("Nothing was silenced", text="For how long was not said.", status=HTTPStatus.BAD_REQUEST)
        return _silenced(link, store, alertmanager_url, begins_at=now(), hours=hours)

    @blueprint.errorhandler(NotAllowedError)
    def forged(_error: NotAllowedError) -> Response:
        text = "This link is none of ours, or it is not whole. Open it from the message again."
        return _page("This link does not work", text=text, status=HTTPStatus.FORBIDDEN)

    @blueprint.errorhandler(LinkOverError)
    def over(error: LinkOverError) -> Response:
        text = f"It works for one silence and for some time: {error}. The next message on this issue has a new one."
        return _page("This link is over", text=text, status=HTTPStatus.GONE)

    @blueprint.errorhandler(DatabaseUnavailableError)
    def away(_error: DatabaseUnavailableError) -> Response:
        text = "The relay cannot use its file at the moment. The link still works: try again in a moment."
        return _page("Nothing was silenced", text=text, status=HTTPStatus.SERVICE_UNAVAILABLE)

    return blueprint


def _silenced(link: SilenceLink, store: Store, alertmanager_url: str, *, begins_at: float, hours: int) -> Response:
    with store.write() as connection:
        claim(connection, link, now=begins_at)
    ends_at = begins_at + hours * 3600
    try:
        silence = create_silence(
            alertmanager_url,
            link.matchers,
            begins_at=begins_at,
            ends_at=ends_at,
            comment=f"From a message on {link.issue}",
        )
    except NetworkError as error:
        with store.write() as connection:
            release(connection, link)
        _log.warning("silence_failed", issue=link.issue, error=str(error))
        text = "Alertmanager does not answer, or refused. The link still works: try again in a moment."
        return _page("Nothing was silenced", link.matchers, text=text, status=HTTPStatus.SERVICE_UNAVAILABLE)
    with store.write() as connection:
        keep(connection, link, silence, ends_at=ends_at)
    _log.info("silence_created", issue=link.issue, silence=silence, hours=hours)
    until = moment_text(datetime.fromtimestamp(ends_at, UTC))
    text = (
        f"Until {until} Alertmanager tells nobody of these alerts. To end that sooner: amtool silence expire {silence}"
    )
    return _page("Silenced", link.matchers, text=text)


def _page(
    title: str,
    matchers: Mapping[str, str] | None = None,
    *,
    text: str = "",
    hours: tuple[int, ...] = (),
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    drawn = render_template("silence.html", style=_STYLE, title=title, text=text, matchers=matchers or {}, hours=hours)
    return Response(drawn, status, headers=_HEADERS, mimetype="text/html")
