"""The page of a job over HTTP: open to everybody, without anything of the job, and right in what it says to type."""

from __future__ import annotations

import html
import re
import shlex
from uuid import uuid4

import pytest

from app.domain.roles import Role
from tests.api import Api
from tests.shown_commands import parse_command

JOB_ID = "0192f0c1-2b7e-7c3a-8d4e-5f60718293a4"


def page_of(api: Api, job_id: object) -> str:
    answer = api.get(f"/jobs/{job_id}", None)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.get_data(as_text=True)


def typed(page: str) -> list[str]:
    """Return every line that is shown to be typed."""
    blocks = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    return [html.unescape(line) for block in blocks for line in block.splitlines()]


def test_the_page_tells_nothing_of_a_job_that_is_there(sqlite_api: Api) -> None:
    plan_id, job_id = sqlite_api.approved()
    page = page_of(sqlite_api, job_id)
    assert str(plan_id) not in page
    assert page.replace(str(job_id), JOB_ID) == page_of(sqlite_api, JOB_ID)


def test_every_shown_command_can_be_typed(sqlite_api: Api) -> None:
    page = page_of(sqlite_api, JOB_ID)
    commands = [line for line in typed(page) if line.startswith("marketplace ")]
    commands += map(html.unescape, re.findall(r"<code>(marketplace [^<]+)</code>", page))
    assert {" ".join(line.split()[1:3]) for line in commands} >= {
        *("jobs show", "dead-letters show", "dead-letters retry", "dead-letters discard"),
    }
    for line in commands:
        parse_command(shlex.split(line.replace("PLAN_ID", str(uuid4()))))


def test_every_shown_call_is_one_of_the_api(sqlite_api: Api) -> None:
    _, job_id = sqlite_api.approved()
    calls = [shlex.split(line) for line in typed(page_of(sqlite_api, job_id)) if line.startswith("curl ")]
    assert len(calls) == 3
    for words in calls:
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        (url,) = [word for word in words if word.startswith("$MARKETPLACE_URL/")]
        answer = sqlite_api.call(method, url.removeprefix("$MARKETPLACE_URL"), Role.ADMIN)
        # The job is there, and has no dead letter.
        assert answer.status_code == (404 if "dead-letters" in url else 200)
        if "dead-letters" in url:
            assert "dead letter" in answer.get_json()["detail"]


def test_every_link_leads_somewhere(sqlite_api: Api) -> None:
    links = set(re.findall(r'href="([^"]*)"', page_of(sqlite_api, JOB_ID)))
    assert {"/", "/runbooks", "/runbooks/MarketplaceDeadLettersGrowing"} < links
    for link in links:
        address, _, anchor = link.partition("#")
        answer = sqlite_api.get(address, None)
        assert answer.status_code == 200, link
        assert not anchor or f'id="{anchor}"' in answer.get_data(as_text=True), link


@pytest.mark.parametrize(
    "job_id", ["x", "1", f"{{{JOB_ID}}}", JOB_ID[:-1], f"{JOB_ID}0", f"{JOB_ID}/", "%3Cscript%3E", "..%2Fruns"]
)
def test_there_is_no_page_of_what_is_no_id(sqlite_api: Api, job_id: str) -> None:
    answer = sqlite_api.get(f"/jobs/{job_id}", None)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_the_page_may_use_its_own_style_and_nothing_else(sqlite_api: Api) -> None:
    policy = sqlite_api.get(f"/jobs/{JOB_ID}", None).headers["Content-Security-Policy"]
    assert re.fullmatch(r"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-[^']+'", policy)
