"""`marketplace breakers` against a running stack, whose worker calls the agents and whose API moves the circuits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.simulations import SimulatedAgents
from tests.servers import free_port, wait_until
from tests.stacks import RunningStack, marketplace, running_stack

pytestmark = pytest.mark.process

REASON = ("--reason", "they migrate")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(
        tmp_path_factory.mktemp("stack"),
        MARKETPLACE_JOBS__MAX_RETRIES="0",
        MARKETPLACE_BREAKERS__FAILURE_THRESHOLD="2",
    ) as stack:
        yield stack


def asked(stack: RunningStack, channel: str) -> dict[str, Any]:
    """Return the job of an analysis of one channel once it has ended."""
    job_id = stack.api.post("analysis", {"channels": [channel]})["jobId"]

    def ended() -> dict[str, Any]:
        job = stack.api.get(f"jobs/{job_id}")
        return job if job["status"] in {"completed", "failed"} else {}

    return wait_until(ended, what="the analysis to end")


def was_called(stack: RunningStack, agent: str) -> int:
    return SimulatedAgents(stack.facts["urls"]["agents"]).requests()[agent]


def told(stack: RunningStack, *arguments: str) -> Any:  # noqa: ANN401 -- JSON is any value
    """Return what a command prints with --json."""
    result = marketplace("breakers", *arguments, "--json", cwd=stack.directory)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_circuit_is_listed(stack: RunningStack) -> None:
    circuits = told(stack, "list")
    assert [circuit["agent"] for circuit in circuits] == [
        "amazon",
        "mercadolivre",
        "shopee",
        "shein",
        "tiktok-shop",
        "kaway",
    ]
    assert {circuit["failureThreshold"] for circuit in circuits} == {2}
    table = marketplace("breakers", "list", cwd=stack.directory)
    assert table.returncode == 0
    assert "tiktok-shop" in table.stdout


def test_a_circuit_that_failures_have_opened_is_shown_and_reset(stack: RunningStack) -> None:
    SimulatedAgents(stack.facts["urls"]["agents"]).behave("shein", mode="error")
    for _ in range(2):
        assert asked(stack, "shein")["status"] == "failed"
    wait_until(lambda: told(stack, "show", "shein")["history"], what="the change to be written")
    found = told(stack, "show", "shein")
    assert (found["state"], found["lastError"]["code"]) == ("open", "server_error")
    assert [(change["toState"], change["cause"]) for change in found["history"]] == [("open", "failures")]
    page = marketplace("breakers", "show", "shein", cwd=stack.directory).stdout
    assert "server_error: " in page
    assert "failures" in page
    assert "shein  " in marketplace("breakers", "list", cwd=stack.directory).stdout

    SimulatedAgents(stack.facts["urls"]["agents"]).behave("shein", mode="healthy")
    assert told(stack, "reset", "shein", "--reason", "it is well")["state"] == "closed"
    assert asked(stack, "shein")["status"] == "completed"
    assert told(stack, "show", "shein")["history"][0]["reason"] == "it is well"


def test_an_agent_whose_circuit_is_opened_by_hand_is_not_called_until_it_is_closed(stack: RunningStack) -> None:
    opened = told(stack, "open", "shopee", "--for", "10m", *REASON)
    assert (opened["state"], opened["held"]["reason"]) == ("open", "they migrate")
    before = was_called(stack, "shopee")
    result = asked(stack, "shopee")["result"]
    assert (result["fallback"], result["channels"][0]["errorCode"]) == (True, "circuit_open")
    assert was_called(stack, "shopee") == before

    closed = marketplace("breakers", "close", "shopee", *REASON, cwd=stack.directory)
    assert closed.returncode == 0, closed.stderr
    assert "next: marketplace breakers show shopee" in closed.stderr
    assert asked(stack, "shopee")["result"]["fallback"] is False
    assert was_called(stack, "shopee") == before + 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("open", "amazon", "--for", "10m"), 2),
        (("open", "amazon", *REASON), 2),
        (("open", "amazon", "--for", "ten", *REASON), 2),
        (("open", "amazon", "--for", "8d", *REASON), 2),
        (("close", "amazon"), 2),
        (("reset", "amazon"), 2),
        (("show", "../jobs"), 2),
        (("show", "nobody"), 3),
        (("reset", "nobody", *REASON), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_cannot_be_done_has_its_exit_code(stack: RunningStack, arguments: tuple[str, ...], code: int) -> None:
    result = marketplace("breakers", *arguments, "--json", cwd=stack.directory)
    assert (result.returncode, result.stdout) == (code, "")
    assert told(stack, "show", "amazon")["history"] == []


def test_a_stack_out_of_reach_has_its_exit_code(tmp_path: Path) -> None:
    result = marketplace("breakers", "list", cwd=tmp_path, MARKETPLACE_URL=f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 5
