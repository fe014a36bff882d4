from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.signals import Path as Way
from alerting.signals import Signal
from alerting.silences.silence_links import (
    LinkOverError,
    claim,
    is_used,
    keep,
    read_token,
    release,
    silence_link,
    silence_links,
    silence_matchers,
    silenced_until,
)
from alerting.store import Store
from app.domain.alerts import AlertType, Severity
from app.domain.errors import NotAllowedError
from tests.slack_messages import NOW

SECRET = "whsec_" + "c2VjcmV0" * 4
_MATCHERS = {"alertname": "MarketplaceCircuitOpened", "environment": "test", "agent": "kaway"}
_AT = NOW.timestamp()


def _token(secret: str = SECRET, **values: str) -> str:
    link = silence_link(
        "http://relay", secret, {**_MATCHERS, **values}, issue="one", expires_at=NOW + timedelta(hours=1)
    )
    assert link.startswith("http://relay/silences/")
    return urlsplit(link).path.rpartition("/")[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "relay.db")
    yield store
    store.close()


def test_a_link_says_what_it_silences() -> None:
    link = read_token(SECRET, _token(), now=_AT)
    assert (link.issue, link.matchers) == ("one", _MATCHERS)


@pytest.mark.parametrize("value", ["", "<script>", "a/b?c#d", "é漢💥", "\ud800", "x" * 1000])
def test_a_link_carries_any_label(value: str) -> None:
    token = _token(agent=value)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert read_token(SECRET, token, now=_AT).matchers["agent"] == value


@pytest.mark.parametrize("token", ["", ".", "a.b", "a", "é.é", "a.b.c", "=.=", "x" * 100_000])
def test_what_we_have_not_written_is_refused(token: str) -> None:
    with pytest.raises(NotAllowedError):
        read_token(SECRET, token, now=_AT)


@given(st.data())
def test_a_changed_link_is_refused(data: st.DataObject) -> None:
    token = _token()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=").filter(lambda c: c != token[at]))
    with pytest.raises(NotAllowedError):
        read_token(SECRET, token[:at] + other + token[at + 1 :], now=_AT)


def test_another_spelling_of_a_link_is_refused() -> None:
    token = _token()
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    # 32 bytes leave two bits of the last letter unused.
    last = letters.index(token[-1])
    for spelling in (token[:-1] + letters[last ^ 1], token[:-1] + letters[last ^ 2], token + "="):
        with pytest.raises(NotAllowedError):
            read_token(SECRET, spelling, now=_AT)


def test_a_link_of_another_secret_is_refused() -> None:
    with pytest.raises(NotAllowedError):
        read_token(SECRET, _token(SECRET + "x"), now=_AT)


def test_a_link_is_over_when_its_time_is() -> None:
    token = _token()
    assert read_token(SECRET, token, now=_AT + 3599)
    with pytest.raises(LinkOverError):
        read_token(SECRET, token, now=_AT + 3600)


def test_a_link_is_claimed_once(store: Store) -> None:
    link = read_token(SECRET, _token(), now=_AT)
    with store.write() as connection:
        claim(connection, link, now=_AT)
        assert not is_used(connection, link)
        with pytest.raises(LinkOverError):
            claim(connection, link, now=_AT + 1)
        keep(connection, link, "id", ends_at=_AT + 3600)
        assert is_used(connection, link)
        with pytest.raises(LinkOverError):
            claim(connection, link, now=_AT + 10_000)


def test_a_link_of_which_nothing_came_is_good_again(store: Store) -> None:
    link = read_token(SECRET, _token(), now=_AT)
    with store.write() as connection:
        claim(connection, link, now=_AT)
        release(connection, link)
        claim(connection, link, now=_AT)


def test_a_claim_of_a_process_that_died_ends(store: Store) -> None:
    link = read_token(SECRET, _token(), now=_AT)
    with store.write() as connection:
        claim(connection, link, now=_AT)
        claim(connection, link, now=_AT + 30)


def test_a_link_that_was_used_is_not_given_back(store: Store) -> None:
    link = read_token(SECRET, _token(), now=_AT)
    with store.write() as connection:
        claim(connection, link, now=_AT)
        keep(connection, link, "id", ends_at=_AT + 3600)
        release(connection, link)
        assert is_used(connection, link)


def test_links_that_are_over_are_forgotten(store: Store) -> None:
    first, second = (read_token(SECRET, _token(agent=agent), now=_AT) for agent in ("kaway", "shein"))
    with store.write() as connection:
        claim(connection, first, now=_AT)
        keep(connection, first, "id", ends_at=_AT + 3600)
        claim(connection, second, now=_AT + 3 * 86_400)
        assert not is_used(connection, first)


def test_an_issue_is_silenced_for_as_long_as_the_silence_lasts(store: Store) -> None:
    link = read_token(SECRET, _token(), now=_AT)
    with store.write() as connection:
        assert silenced_until(connection, "one", now=_AT) is None
        claim(connection, link, now=_AT)
        assert silenced_until(connection, "one", now=_AT) is None
        keep(connection, link, "id", ends_at=_AT + 3600)
        assert silenced_until(connection, "one", now=_AT) == _AT + 3600
        assert silenced_until(connection, "other", now=_AT) is None
        assert silenced_until(connection, "one", now=_AT + 3600) is None


def _signal(way: Way) -> Signal:
    return Signal(
        path=way,
        id="1",
        fingerprint="1",
        alert="MarketplaceCircuitOpened",
        type=AlertType.CIRCUIT_OPENED,
        severity=Severity.WARNING,
        firing=True,
        at=NOW,
        environment="test",
        subject={"agent": "kaway"},
        summary="",
        labels={"severity": "warning", "agent": "kaway"},
    )


def test_the_labels_are_those_that_tell_the_issue_from_others() -> None:
    assert silence_matchers(_signal(Way.ALERTMANAGER)) == _MATCHERS


def test_the_link_of_a_message_is_good_for_a_day() -> None:
    made = silence_links("http://relay", SECRET, now=lambda: _AT)(_signal(Way.PIPELINE))
    assert made is not None
    token = urlsplit(made).path.rpartition("/")[2]
    link = read_token(SECRET, token, now=_AT + 86_399)
    assert (link.issue, link.matchers) == ("MarketplaceCircuitOpened/test/agent=kaway", _MATCHERS)
    with pytest.raises(LinkOverError):
        read_token(SECRET, token, now=_AT + 86_400)


def test_what_the_relay_noticed_itself_has_no_link() -> None:
    assert silence_links("http://relay", SECRET)(_signal(Way.OWN)) is None
