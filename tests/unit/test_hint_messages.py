from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.dead_letters import MessageFault
from app.domain.jobs import JobMessage
from app.job_queue.hint_messages import MAX_BYTES, BadMessage, encode_hint, read_hint

JOB_ID = UUID(int=7)
GOOD = {"v": 1, "jobId": str(JOB_ID)}


def body(message: object = GOOD, *, actor: object = "run_job") -> bytes:
    return json.dumps({"actor_name": actor, "kwargs": {"message": message}}).encode()


@pytest.mark.parametrize("hint", [JobMessage(job_id=JOB_ID), JobMessage(job_id=JOB_ID, crash_count=1)], ids=str)
def test_a_hint_is_read_as_it_was_sent(hint: JobMessage) -> None:
    assert read_hint(encode_hint("phase1-tasks", hint)) == hint


def test_a_hint_holds_ids_and_nothing_secret() -> None:
    sent = json.loads(encode_hint("phase1-tasks", JobMessage(job_id=JOB_ID)))
    assert sent["kwargs"] == {"message": {"v": 1, "jobId": str(JOB_ID), "crashCount": 0}}
    assert (sent["queue_name"], sent["actor_name"], sent["args"], sent["options"]) == (
        "phase1-tasks",
        "run_job",
        [],
        {},
    )


def test_a_hint_of_another_tool_that_speaks_dramatiq_is_read() -> None:
    assert read_hint(body()) == JobMessage(job_id=JOB_ID)


@pytest.mark.parametrize(
    ("stands", "fault"),
    [
        pytest.param(b"", MessageFault.UNDECODABLE, id="empty"),
        pytest.param(b"\x80\x04\x95", MessageFault.UNDECODABLE, id="pickle"),
        pytest.param(b"[" * 2000, MessageFault.UNDECODABLE, id="nested"),
        pytest.param(b"null", MessageFault.UNDECODABLE, id="null"),
        pytest.param(b'"run_job"', MessageFault.UNDECODABLE, id="text"),
        pytest.param(b'{"actor_name":"run_job","kwargs":[]}', MessageFault.UNDECODABLE, id="no message"),
        pytest.param(b'{"kwargs":{"message":{"v":1}}}', MessageFault.UNDECODABLE, id="no actor"),
        pytest.param(b'{"a\\u0000":1,"a\\u0000":2}', MessageFault.UNDECODABLE, id="name twice, with NUL"),
        pytest.param(body({"v": 1, "jobId": "x"}), MessageFault.UNDECODABLE, id="no id"),
        pytest.param(body({"v": 1, "jobId": 7}), MessageFault.UNDECODABLE, id="id is a number"),
        pytest.param(body({**GOOD, "more": 1}), MessageFault.UNDECODABLE, id="unknown field"),
        pytest.param(body([GOOD]), MessageFault.UNDECODABLE, id="list"),
        pytest.param(body({**GOOD, "v": 2}), MessageFault.VERSION, id="next version"),
        pytest.param(body({**GOOD, "v": "1"}), MessageFault.VERSION, id="version as text"),
        pytest.param(body({**GOOD, "v": None}), MessageFault.VERSION, id="version is null"),
        pytest.param(body(actor="send_mail"), MessageFault.UNKNOWN_ACTOR, id="another actor"),
        pytest.param(body(actor=None), MessageFault.UNDECODABLE, id="actor is null"),
        pytest.param(b" " * MAX_BYTES + body(), MessageFault.UNDECODABLE, id="too long"),
    ],
)
def test_what_is_no_hint_is_told_apart(stands: bytes, fault: MessageFault) -> None:
    bad = read_hint(stands)
    assert isinstance(bad, BadMessage)
    assert bad.fault is fault
    assert bad.text.isprintable()
    assert len(bad.text) < 200


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ).map(body)
    | st.text().map(lambda text: body({**GOOD, "jobId": text}))
    | st.dictionaries(st.text(), st.integers()).map(lambda more: body({**GOOD, **more}))
)
def test_whatever_stands_in_a_queue_is_read_as_something(stands: bytes) -> None:
    found = read_hint(stands)
    if isinstance(found, BadMessage):
        assert found.text.isprintable()
        assert len(found.text) < 200


def test_the_text_of_a_fault_holds_nothing_that_the_message_held() -> None:
    bad = read_hint(body({"v": 1, "jobId": "s3cret"}))
    assert isinstance(bad, BadMessage)
    assert "s3cret" not in bad.text
