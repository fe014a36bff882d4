"""Everything that callers get wrong.

Each case is refused with a problem document that names the place, and the database stays as it was.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from app.domain.roles import Role
from tests.api import SETTER, SMALL_BODY_BYTES, SMALL_UPLOAD_BYTES, Api, fields_of, problem_of
from tests.conftest import DATABASES
from tests.letters import archive_one, archive_unreadable
from tests.pdf import encrypted_pdf, pdf_saying
from tests.servers import postgres_database

ANALYSIS = "/api/marketplace/analysis"
UPLOAD = f"{ANALYSIS}/upload"
IMPORT = f"{ANALYSIS}/import"
RECOVER = f"{ANALYSIS}/recover"
JOBS = "/api/marketplace/jobs"
TASKS = "/api/marketplace/tasks"
MODE = "/api/marketplace/mode"
QUEUE = "/api/marketplace/queue"
WEBHOOKS = "/api/marketplace/webhooks"
LETTERS = "/api/marketplace/dead-letters"
RETRY = f"{LETTERS}/retry"
JSON = "application/json"
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Case:
    """A request that is wrong; a name in braces at the start of its path stands for something that exists."""

    name: str
    method: str
    path: str
    status: int
    wrong: str
    options: Mapping[str, Any] = field(default_factory=dict)
    role: Role | None = Role.ADMIN


def body(name: str, path: str, status: int, wrong: str, content: object, method: str = "POST") -> Case:
    """Return the case of a JSON body."""
    return Case(name, method, path, status, wrong, {"json": content})


def raw(name: str, path: str, status: int, wrong: str, data: bytes, content_type: str = JSON) -> Case:
    """Return the case of a body that is sent as it stands."""
    return Case(name, "POST", path, status, wrong, {"data": data, "content_type": content_type})


def query(name: str, path: str, wrong: str, status: int = 422) -> Case:
    """Return the case of a parameter or a path."""
    return Case(name, "GET", path, status, wrong)


def upload(name: str, wrong: str, file_name: str, content: bytes, status: int = 422, **fields: Any) -> Case:
    """Return the case of a file."""
    # The client closes its files after a request: this one is opened anew for each run.
    data = {"channels": "amazon", **fields, "file": (file_name, content)}
    return Case(name, "POST", UPLOAD, status, wrong, {"data": data})


ASK: dict[str, Any] = {"channels": ["amazon"]}
READY: dict[str, Any] = {"title": "Shoes", "channels": ["amazon"], "planData": {"phases": []}}
EVERY: dict[str, Any] = {"filter": {}}
HOOK: dict[str, Any] = {"url": "https://hooks.example.com/"}

BODIES = [
    # What cannot be read at all
    raw("no body", ANALYSIS, 400, "body", b""),
    raw("not JSON", ANALYSIS, 400, "body", b"{channels: amazon}"),
    raw("JSON that ends early", ANALYSIS, 400, "body", b'{"channels": ["amazon"'),
    raw("two JSON documents", ANALYSIS, 400, "body", b'{"channels": ["amazon"]} {}'),
    raw("bad UTF-8", ANALYSIS, 400, "body", b'{"channels": ["amazon"], "title": "\xff\xfe"}'),
    raw("Latin-1", ANALYSIS, 400, "body", '{"channels": ["amazon"], "title": "verão"}'.encode("latin-1")),
    raw("UTF-16", ANALYSIS, 400, "body", json.dumps(ASK).encode("utf-16")),
    raw("a byte order mark", ANALYSIS, 400, "body", b"\xef\xbb\xbf" + json.dumps(ASK).encode()),
    raw("a list as body", ANALYSIS, 400, "body", b"[]"),
    raw("a string as body", ANALYSIS, 400, "body", b'"amazon"'),
    raw("null as body", ANALYSIS, 400, "body", b"null"),
    raw("a name twice", ANALYSIS, 400, "channels", b'{"channels": ["amazon"], "channels": ["shopee"]}'),
    raw("a huge body", ANALYSIS, 413, "body", b'{"context": "%s"}' % (b"a" * SMALL_BODY_BYTES)),
    raw("deep lists", IMPORT, 422, "body", b"[" * 50_000),
    raw("deep objects", IMPORT, 422, "planData" + ".a" * 31, b'{"planData": %s1%s}' % (b'{"a": ' * 40, b"}" * 40)),
    raw("the wrong type of content", ANALYSIS, 415, "Content-Type", json.dumps(ASK).encode(), "text/plain"),
    raw("no type of content", ANALYSIS, 415, "Content-Type", json.dumps(ASK).encode(), ""),
    raw(
        "a form instead of JSON", ANALYSIS, 415, "Content-Type", b"channels=amazon", "application/x-www-form-urlencoded"
    ),
    raw("JSON in another charset", ANALYSIS, 415, "Content-Type", json.dumps(ASK).encode(), f"{JSON}; charset=utf-16"),
    # Values that nothing can keep
    raw("NaN", IMPORT, 422, "planData.x", b'{"title": "a", "channels": ["amazon"], "planData": {"x": NaN}}'),
    raw(
        "Infinity",
        IMPORT,
        422,
        "planData.x.0",
        b'{"title": "a", "channels": ["amazon"], "planData": {"x": [-Infinity]}}',
    ),
    raw("a float too large", IMPORT, 422, "planData.x", b'{"planData": {"x": 1e999}}'),
    raw("an integer beyond 64 bits", IMPORT, 422, "planData.x", b'{"planData": {"x": 9223372036854775808}}'),
    raw("an integer of 5,000 digits", IMPORT, 422, "planData.x", b'{"planData": {"x": %s}}' % (b"9" * 5000)),
    raw("NUL in a text", ANALYSIS, 422, "title", b'{"channels": ["amazon"], "title": "a\\u0000b"}'),
    raw("NUL in a name", IMPORT, 422, "planData", b'{"planData": {"a\\u0000": 1}}'),
    raw("half a surrogate pair", ANALYSIS, 422, "context", b'{"channels": ["amazon"], "context": "\\ud83d"}'),
    # Values of the wrong type or size
    body("no channels", ANALYSIS, 422, "channels", {"title": "Shoes"}),
    body("an empty list of channels", ANALYSIS, 422, "channels", {"channels": []}),
    body("channels as text", ANALYSIS, 422, "channels", {"channels": "amazon"}),
    body("channels as object", ANALYSIS, 422, "channels", {"channels": {"0": "amazon"}}),
    body("channels as null", ANALYSIS, 422, "channels", {"channels": None}),
    body("a number as channel", ANALYSIS, 422, "channels.1", {"channels": ["amazon", 7]}),
    body("an empty channel", ANALYSIS, 422, "channels.0", {"channels": [""]}),
    body("an unknown channel", ANALYSIS, 422, "channels.1", {"channels": ["amazon", "walmart"]}),
    body("SQL as channel", ANALYSIS, 422, "channels.0", {"channels": ["amazon'; DROP TABLE marketplace_plans; --"]}),
    body("HTML as channel", ANALYSIS, 422, "channels.0", {"channels": ["<img src=x onerror=alert(1)>"]}),
    body("a channel twice", ANALYSIS, 422, "channels.1", {"channels": ["amazon", "amazon"]}),
    body("too many channels", ANALYSIS, 422, "channels", {"channels": ["amazon"] * 51}),
    body("a number as title", ANALYSIS, 422, "title", {**ASK, "title": 7}),
    body("true as title", ANALYSIS, 422, "title", {**ASK, "title": True}),
    body("a blank title", ANALYSIS, 422, "title", {**ASK, "title": "  "}),
    body("a long title", ANALYSIS, 422, "title", {**ASK, "title": "a" * 301}),
    body("a title of two lines", ANALYSIS, 422, "title", {**ASK, "title": "a\nb"}),
    body("an escape sequence in a title", ANALYSIS, 422, "title", {**ASK, "title": "a\x1b[31mb"}),
    body("a list as context", ANALYSIS, 422, "context", {**ASK, "context": []}),
    body("an unknown field", ANALYSIS, 422, "chanels", {**ASK, "chanels": []}),
    body("a field in snake case", IMPORT, 422, "plan_data", {"title": "a", "channels": ["amazon"], "plan_data": {}}),
    body("a long unknown field", ANALYSIS, 422, "a" * 199 + "…", {**ASK, "a" * 5000: 1}),
    # Plans
    body("an import without title", IMPORT, 422, "title", {"channels": ["amazon"], "planData": {}}),
    body("an import without plan", IMPORT, 422, "planData", {"title": "a", "channels": ["amazon"]}),
    body("a list as plan", IMPORT, 422, "planData", {**READY, "planData": []}),
    body("a text as plan", IMPORT, 422, "planData", {**READY, "planData": "phase 1"}),
    body("a number as phases", IMPORT, 422, "planData.phases", {**READY, "planData": {"phases": 7}}),
    body("an import for an unknown channel", IMPORT, 422, "channels.0", {**READY, "channels": ["walmart"]}),
    # Decisions
    body("no action", "{plan}", 422, "action", {}, "PATCH"),
    body("an unknown action", "{plan}", 422, "action", {"action": "delete"}, "PATCH"),
    body("an action in capitals", "{plan}", 422, "action", {"action": "APPROVE"}, "PATCH"),
    body("a list as action", "{plan}", 422, "action", {"action": ["approve"]}, "PATCH"),
    body("a rejection without reason", "{plan}", 422, "reason", {"action": "reject"}, "PATCH"),
    body("a rejection with a blank reason", "{plan}", 422, "reason", {"action": "reject", "reason": " "}, "PATCH"),
    body("a number as reason", "{plan}", 422, "reason", {"action": "reject", "reason": 7}, "PATCH"),
    body("a long reason", "{plan}", 422, "reason", {"action": "reject", "reason": "a" * 2001}, "PATCH"),
    body("a decision with an unknown field", "{plan}", 422, "force", {"action": "approve", "force": True}, "PATCH"),
    body("an approval of no id", f"{ANALYSIS}/7", 422, "planId", {"action": "approve"}, "PATCH"),
    body("an approval of an id in braces", f"{ANALYSIS}/{{{NOBODY}}}", 422, "planId", {"action": "approve"}, "PATCH"),
    body("an approval of SQL", f"{ANALYSIS}/1' OR '1'='1", 422, "planId", {"action": "approve"}, "PATCH"),
    body("a rejection of an approved plan", "{approved}", 409, "", {"action": "reject", "reason": "No"}, "PATCH"),
    body("an approval of no plan", f"{ANALYSIS}/{NOBODY}", 404, "", {"action": "approve"}, "PATCH"),
    # Switches
    body("no mode", MODE, 422, "mode", {"reason": "No"}, "PUT"),
    body("an unknown mode", MODE, 422, "mode", {"mode": "async", "reason": "No"}, "PUT"),
    body("a mode in capitals", MODE, 422, "mode", {"mode": "SYNC", "reason": "No"}, "PUT"),
    body("a mode without reason", MODE, 422, "reason", {"mode": "sync"}, "PUT"),
    body("a mode with a blank reason", MODE, 422, "reason", {"mode": "sync", "reason": " "}, "PUT"),
    body("a mode with an unknown field", MODE, 422, "seconds", {"mode": "sync", "reason": "No", "seconds": 5}, "PUT"),
    body("a pause without reason", f"{QUEUE}/pause", 422, "reason", {}),
    body("a pause with null as reason", f"{QUEUE}/pause", 422, "reason", {"reason": None}),
    body("a pause of an unknown queue", f"{QUEUE}/pause", 422, "queue", {"queue": "phase2", "reason": "No"}),
    body("a pause of a kind of job", f"{QUEUE}/pause", 422, "queue", {"queue": "phase1", "reason": "No"}),
    body("a pause of a list", f"{QUEUE}/pause", 422, "queue", {"queue": ["analysis"], "reason": "No"}),
    body("a resumption without reason", f"{QUEUE}/resume", 422, "reason", {"queue": "analysis"}),
    body("a resumption of an unknown queue", f"{QUEUE}/resume", 422, "queue", {"queue": "", "reason": "No"}),
    body("a drain with a long reason", f"{QUEUE}/drain", 422, "reason", {"reason": "a" * 2001}),
    body("a drain with an escape sequence", f"{QUEUE}/drain", 422, "reason", {"reason": "a\x1b[31mb"}),
    body("a drain of a number", f"{QUEUE}/drain", 422, "queue", {"queue": 7, "reason": "No"}),
    raw("a drain that is no JSON", f"{QUEUE}/drain", 400, "body", b"reason=No"),
    # Recovery and webhooks
    body("an empty list to recover", RECOVER, 422, "planIds", {"planIds": []}),
    body("no ids to recover", RECOVER, 422, "planIds.1", {"planIds": [NOBODY, "7"]}),
    body("numbers to recover", RECOVER, 422, "planIds.0", {"planIds": [7]}),
    body("too many ids to recover", RECOVER, 422, "planIds", {"planIds": [NOBODY] * 101}),
    body("a webhook without address", WEBHOOKS, 422, "url", {}),
    body("a webhook to a file", WEBHOOKS, 422, "url", {"url": "file:///etc/passwd"}),
    body("a webhook to no host", WEBHOOKS, 422, "url", {"url": "https://"}),
    body("a webhook with credentials", WEBHOOKS, 422, "url", {"url": "https://user:secret@hooks.example.com/"}),
    body("a webhook for an unknown event", WEBHOOKS, 422, "events.0", {**HOOK, "events": ["job:lost"]}),
    body("a webhook for no event", WEBHOOKS, 422, "events", {**HOOK, "events": []}),
    body("a webhook with a secret of its own", WEBHOOKS, 422, "secret", {**HOOK, "secret": "whsec_a"}),
    # Dead letters
    body("a bulk retry without a filter", RETRY, 422, "filter", {}),
    body("a bulk retry of null", RETRY, 422, "filter", {"filter": None}),
    body("a bulk retry of none", RETRY, 422, "limit", {**EVERY, "limit": 0}),
    body("a bulk retry of too many", RETRY, 422, "limit", {**EVERY, "limit": 1001}),
    body("a text as limit of a bulk retry", RETRY, 422, "limit", {**EVERY, "limit": "10"}),
    body("true as limit of a bulk retry", RETRY, 422, "limit", {**EVERY, "limit": True}),
    body("a word as dry run", RETRY, 422, "dryRun", {**EVERY, "dryRun": "no"}),
    body("a number as dry run", RETRY, 422, "dryRun", {**EVERY, "dryRun": 0}),
    body("a rate of zero", RETRY, 422, "ratePerSecond", {**EVERY, "ratePerSecond": 0}),
    body("a text as rate", RETRY, 422, "ratePerSecond", {**EVERY, "ratePerSecond": "10"}),
    body("a rate too slow for the limit", RETRY, 422, "ratePerSecond", {**EVERY, "limit": 100, "ratePerSecond": 1}),
    body("a rate that is next to nothing", RETRY, 422, "ratePerSecond", {**EVERY, "ratePerSecond": 1e-300}),
    body("a bulk retry of an unknown kind", RETRY, 422, "filter.kind", {"filter": {"kind": "phase2"}}),
    body("a bulk retry of messages", RETRY, 422, "filter.errorClass", {"filter": {"errorClass": "message"}}),
    body("a bulk retry of discarded ones", RETRY, 422, "filter.status", {"filter": {"status": "discarded"}}),
    body("a bulk retry of a reason in words", RETRY, 422, "filter.reason", {"filter": {"reason": "no answer"}}),
    body("a bulk retry of SQL", RETRY, 422, "filter.agent", {"filter": {"agent": "amazon' OR '1'='1"}}),
    body("a bulk retry of no plan", RETRY, 422, "filter.planId", {"filter": {"planId": 7}}),
    body("a bulk retry of no span", RETRY, 422, "filter.since", {"filter": {"since": "yesterday"}}),
    body("a bulk retry of a number as span", RETRY, 422, "filter.since", {"filter": {"since": 60}}),
    body("a bulk retry of a blank text", RETRY, 422, "filter.text", {"filter": {"text": " "}}),
    body("a retry of no id", f"{LETTERS}/7/retry", 422, "jobId", {}),
    body("a retry of no letter", f"{LETTERS}/{NOBODY}/retry", 404, "", {}),
    body("a retry of a message", "{message}/retry", 409, "", {}),
    body("a retry of a job that did not fail", "{job}/retry", 404, "", {}),
]

DISCARDS = [
    Case("a discard without reason", "DELETE", "{letter}", 422, "reason"),
    Case("a discard with an empty reason", "DELETE", "{letter}?reason=", 422, "reason"),
    Case("a discard with a long reason", "DELETE", "{letter}?reason=" + "a" * 301, 422, "reason"),
    Case("a discard with a reason of two lines", "DELETE", "{letter}?reason=a%0Ab", 422, "reason"),
    Case("a discard with two reasons", "DELETE", "{letter}?reason=a&reason=b", 422, "reason"),
    Case("a discard with a reason in its body", "DELETE", "{letter}", 422, "reason", {"json": {"reason": "a"}}),
    Case("a discard of no id", "DELETE", f"{LETTERS}/7?reason=a", 422, "jobId"),
    Case("a discard of no letter", "DELETE", f"{LETTERS}/{NOBODY}?reason=a", 404, ""),
]

FILES = [
    Case(
        "no file", "POST", UPLOAD, 422, "file", {"data": {"channels": "amazon"}, "content_type": "multipart/form-data"}
    ),
    raw("JSON instead of a file", UPLOAD, 415, "Content-Type", json.dumps(ASK).encode()),
    raw("parts without a boundary", UPLOAD, 422, "file", b"--x\r\n", "multipart/form-data"),
    raw("parts that end early", UPLOAD, 422, "file", b"--x\r\nContent-Dis", "multipart/form-data; boundary=x"),
    upload("a file without channels", "channels", "a.txt", b"Winter", channels=[]),
    upload("a file for an unknown channel", "channels.0", "a.txt", b"Winter", channels="walmart"),
    upload("a file and a blank title", "title", "a.txt", b"Winter", title=" "),
    upload("a file and two titles", "title", "a.txt", b"Winter", title=["a", "b"]),
    upload("a file and an unknown field", "context", "a.txt", b"Winter", context="a"),
    upload("an empty file", "file", "a.txt", b""),
    upload("a blank file", "file", "a.txt", b" \n"),
    upload("a program", "file", "a.exe", b"MZ\x90\x00"),
    upload("a file without a name", "file", "", b"Winter"),
    upload("a path as name", "file", "../../etc/passwd", b"root"),
    upload("a file in Latin-1", "file", "a.txt", "verão".encode("latin-1"), 400),
    upload("a picture that is called a text", "file", "a.txt", b"\x89PNG\r\n\x1a\n\x00\x00", 400),
    upload("NUL in a text file", "file", "a.md", b"a\x00b"),
    upload("a PDF that is called a text", "file", "a.txt", pdf_saying("Winter")),
    upload("a text that is called a PDF", "file", "a.pdf", b"Winter"),
    upload("a broken PDF", "file", "a.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type"),
    upload("an encrypted PDF", "file", "a.pdf", encrypted_pdf()),
    upload("a PDF without text", "file", "a.pdf", pdf_saying("")),
    upload("a file that is no JSON", "file", "a.json", b"{winter}", 400),
    upload("a JSON file with NaN", "file", "a.json", b"[NaN]", 422),
    upload("a CSV file with an open quote", "file", "a.csv", b'sku,"name\n1,2', 400),
    upload("a large file", "file", "a.txt", b"a" * (SMALL_UPLOAD_BYTES + 1)),
    upload("a long text", "file", "a.txt", b"a" * 200_001),
    upload("a huge upload", "body", "a.txt", b"a" * (SMALL_UPLOAD_BYTES + 100_000), 413),
]

READS = [
    query("a plan of no id", f"{ANALYSIS}/7", "planId"),
    query("an id without dashes", f"{ANALYSIS}/{NOBODY.replace('-', '')}", "planId"),
    query("an id with NUL", f"{ANALYSIS}/{NOBODY}%00", "planId"),
    query("a job of no id", f"{JOBS}/latest", "jobId"),
    query("tasks of no plan", TASKS, "planId"),
    query("tasks of no id", f"{TASKS}?planId=7", "planId"),
    query("an unknown status", f"{ANALYSIS}?status=lost", "status"),
    query("a limit of zero", f"{ANALYSIS}?limit=0", "limit"),
    query("a limit too large", f"{ANALYSIS}?limit=201", "limit"),
    query("a negative limit", f"{JOBS}?limit=-1", "limit"),
    query("a word as limit", f"{JOBS}?limit=all", "limit"),
    query("a fraction as limit", f"{JOBS}?limit=1.0", "limit"),
    query("an empty limit", f"{JOBS}?limit=", "limit"),
    query("foreign digits as limit", f"{JOBS}?limit=%D9%A1", "limit"),
    query("a cursor of ours no more", f"{JOBS}?cursor=abc", "cursor"),
    query("a cursor that is not ASCII", f"{JOBS}?cursor=%C3%A9", "cursor"),
    query("a long cursor", f"{JOBS}?cursor={'a' * 5000}", "cursor"),
    query("a parameter twice", f"{JOBS}?limit=1&limit=2", "limit"),
    query("an unknown parameter", f"{JOBS}?page=2", "page"),
    query("a parameter where none is taken", f"{ANALYSIS}/{NOBODY}?verbose=1", "verbose"),
    query("bad UTF-8 in a parameter", f"{JOBS}?q=%ff", "q"),
    query("NUL in a parameter", f"{JOBS}?q=agent:amazon%00", "q"),
    query("a search of unknown words", f"{JOBS}?q=lost", "q"),
    query("a long search", f"{JOBS}?q={'a' * 501}", "q"),
    query("an archive since a word", f"{QUEUE}/archive?failedSince=yesterday", "failedSince"),
    query("an archive since a long text", f"{QUEUE}/archive?failedSince={'9' * 21}", "failedSince"),
    query("an archive since nothing", f"{QUEUE}/archive?failedSince=0h", "failedSince"),
    query("an archive of one queue", f"{QUEUE}/archive?queue=analysis", "queue"),
    query("a parameter for the queues", f"{QUEUE}?state=paused", "state"),
    query("a dead letter of no id", f"{LETTERS}/oldest", "jobId"),
    query("a dead letter that is not there", f"{LETTERS}/{NOBODY}", "", 404),
    query("dead letters of an unknown status", f"{LETTERS}?status=lost", "status"),
    query("dead letters of an unknown class", f"{LETTERS}?errorClass=odd", "errorClass"),
    query("dead letters of no span", f"{LETTERS}?since=1w", "since"),
    query("dead letters of a plan of no id", f"{LETTERS}?planId=7", "planId"),
    query("dead letters with NUL in their text", f"{LETTERS}?text=a%00", "text"),
    query("an export with a limit", f"{LETTERS}/export?limit=1", "limit"),
    query("an export of an unknown kind", f"{LETTERS}/export?kind=phase2", "kind"),
    query("a plan that is not there", f"{ANALYSIS}/{NOBODY}", "", 404),
    query("a route that is not there", "/api/marketplace/plans", "", 404),
    query("a route with a slash too many", f"{ANALYSIS}/", "", 404),
    Case("a method that is not there", "DELETE", ANALYSIS, 405, ""),
    Case("a webhook of no id", "DELETE", f"{WEBHOOKS}/7", 422, "webhookId"),
]

CALLERS = [
    Case("no token", "POST", ANALYSIS, 401, "Authorization", {"json": ASK}, role=None),
    Case("no token and no JSON", "POST", ANALYSIS, 401, "Authorization", {"data": b"{"}, role=None),
    Case("an expired token", "POST", ANALYSIS, 401, "Authorization", {"json": ASK, "token": "expired"}),
    Case("a revoked token", "POST", ANALYSIS, 401, "Authorization", {"json": ASK, "token": "revoked"}),
    Case("an unknown token", "POST", ANALYSIS, 401, "Authorization", {"json": ASK, "token": "unknown"}),
    Case("a viewer who asks", "POST", ANALYSIS, 403, "", {"json": ASK}, role=Role.VIEWER),
    Case("a viewer who approves", "PATCH", "{plan}", 403, "", {"json": {"action": "approve"}}, role=Role.VIEWER),
    Case("an approver who recovers", "POST", RECOVER, 403, "", {"json": {}}, role=Role.APPROVER),
    Case("an approver who changes the mode", "PUT", MODE, 403, "", {"json": {}}, role=Role.APPROVER),
    Case("an approver who drains", "POST", f"{QUEUE}/drain", 403, "", {"json": {}}, role=Role.APPROVER),
    Case("nobody who reads the queues", "GET", QUEUE, 401, "Authorization", role=None),
    Case("an approver who retries", "POST", "{letter}/retry", 403, "", role=Role.APPROVER),
    Case("an approver who retries in bulk", "POST", RETRY, 403, "", {"json": EVERY}, role=Role.APPROVER),
    Case("an approver who discards", "DELETE", "{letter}?reason=a", 403, "", role=Role.APPROVER),
    Case("an approver who subscribes", "POST", WEBHOOKS, 403, "", {"json": HOOK}, role=Role.APPROVER),
]

CASES = BODIES + DISCARDS + FILES + READS + CALLERS


@dataclass(frozen=True)
class Target:
    """The application that all cases are sent to, with what they need; nothing may change it."""

    api: Api
    paths: dict[str, str]
    tokens: dict[str, str]


@pytest.fixture(scope="module", params=DATABASES)
def target(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Return the one application, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        yield from _target(f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('malformed'))}", redis_url)
    else:
        server, name = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
        with postgres_database(server, template=name) as url:
            yield from _target(url, redis_url)


def _target(database_url: str, redis_url: str) -> Iterator[Target]:
    api = Api(database_url, redis_url)
    tokens = {
        "revoked": api.runtime.tokens.create("revoked", Role.ADMIN, by=SETTER),
        "expired": api.runtime.tokens.create("expired", Role.ADMIN, by=SETTER, expires_in=timedelta(hours=1)),
        "unknown": "mp_" + "a" * 43,
    }
    api.runtime.tokens.revoke("revoked", by=SETTER)
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_api_tokens SET expires_at = created_at WHERE name = 'expired'")
    plan, (approved, job) = api.imported(), api.approved()
    letter, message = archive_one(api.runtime.database), archive_unreadable(api.runtime.database)
    paths = {
        "{plan}": f"{ANALYSIS}/{plan}",
        "{approved}": f"{ANALYSIS}/{approved}",
        "{job}": f"{LETTERS}/{job}",
        "{letter}": f"{LETTERS}/{letter}",
        "{message}": f"{LETTERS}/{message}",
    }
    yield Target(api, paths, tokens)
    api.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_and_nothing_changes(target: Target, case: Case) -> None:
    before = target.api.digest()

    options = dict(case.options)
    if "token" in options:
        options["headers"] = {"Authorization": f"Bearer {target.tokens[options.pop('token')]}"}
    if isinstance(options.get("data"), dict) and "file" in options["data"]:
        name, content = options["data"]["file"]
        options["data"] = {**options["data"], "file": (BytesIO(content), name)}
    path = re.sub(r"^{\w+}", lambda name: target.paths[name[0]], case.path)
    answer = target.api.call(case.method, path, case.role, **options)

    problem = problem_of(answer)
    assert answer.status_code == case.status, problem
    assert case.wrong in (fields_of(answer) or [""]), problem
    assert target.api.digest() == before


def test_the_table_has_no_name_twice_and_at_least_seventy_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 70
