"""Runbooks over HTTP: open to everybody, safe, and linked with each other."""

from __future__ import annotations

import re

import pytest

from app.api.runbooks import as_html
from app.domain.alerts import CIRCUIT_OPENED, EXPLAINED_ALERTS, Alert
from tests.api import Api


@pytest.mark.parametrize("alert", EXPLAINED_ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_its_page_for_everybody(sqlite_api: Api, alert: Alert) -> None:
    answer = sqlite_api.get(f"/runbooks/{alert.name}", None)
    page = answer.get_data(as_text=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert f"<title>{alert.name}</title>" in page
    assert [f"<h2>{part}</h2>" in page for part in ("Meaning", "Impact", "Diagnosis", "Mitigation", "Prevention")] == [
        True
    ] * 5


def test_the_index_leads_to_every_page(sqlite_api: Api) -> None:
    page = sqlite_api.get("/runbooks", None).get_data(as_text=True)
    links = set(re.findall(r'href="(/runbooks/[^"]+)"', page))
    assert links == {f"/runbooks/{alert.name}" for alert in EXPLAINED_ALERTS}


def test_every_link_of_every_page_leads_somewhere(sqlite_api: Api) -> None:
    pages = [f"/runbooks/{alert.name}" for alert in EXPLAINED_ALERTS]
    found = {
        link
        for page in pages
        for link in re.findall(r'href="([^"]*)"', sqlite_api.get(page, None).get_data(as_text=True))
    }
    assert {"/", "/runbooks"} < found
    assert {link: sqlite_api.get(link, None).status_code for link in found} == dict.fromkeys(found, 200)


@pytest.mark.parametrize("name", ["Nothing", "README", "..%2F..%2Fapp%2Fwsgi", "marketplacewatchdog"])
def test_there_is_no_page_of_another_name(sqlite_api: Api, name: str) -> None:
    answer = sqlite_api.get(f"/runbooks/{name}", None)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_page_may_use_its_own_style_and_nothing_else(sqlite_api: Api) -> None:
    policy = sqlite_api.get(f"/runbooks/{CIRCUIT_OPENED.name}", None).headers["Content-Security-Policy"]
    assert re.fullmatch(r"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-[^']+'", policy)


def test_html_in_a_document_is_shown_as_text() -> None:
    shown = as_html('<script>alert(1)</script> and `<b>` and <img src="x" onerror="y">')
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "<code>&lt;b&gt;</code>" in shown


def test_links_lead_to_runbooks_only() -> None:
    shown = as_html(
        "[a](MarketplaceRedisDown.md), [b](README.md), [c](../howto/redis.md#x), [d](https://example.org/y), "
        "[e](javascript:alert(1))"
    )
    assert re.findall(r'href="([^"]*)"', shown) == ["/runbooks/MarketplaceRedisDown", "/runbooks"]
    assert "c (docs/howto/redis.md#x), d (https://example.org/y)" in shown
