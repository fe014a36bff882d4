"""Fifty people approve one plan at the same moment, over HTTP, from the server that production runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.pipeline import PLAN
from tests.web_process import Web, running_web

PEOPLE = 50


@pytest.mark.process
def test_fifty_approvals_at_once_give_one_job_and_fifty_equal_answers(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running_web(database_url, redis_url, tmp_path) as web:
        plan_id = imported(web)
        start = threading.Barrier(PEOPLE)

        def approve(_person: int) -> tuple[int, Any]:
            start.wait(30)
            answer = requests.patch(
                f"{web.url}/api/marketplace/analysis/{plan_id}",
                json={"action": "approve"},
                headers=web.headers,
                timeout=60,
            )
            return answer.status_code, answer.json()

        with ThreadPoolExecutor(PEOPLE) as people:
            answers = list(people.map(approve, range(PEOPLE)))

        assert {status for status, _ in answers} == {202}
        assert all(answer == answers[0][1] for _, answer in answers)
        jobs = requests.get(
            f"{web.url}/api/marketplace/jobs", params={"q": f"plan:{plan_id}"}, headers=web.headers, timeout=10
        ).json()["items"]
        assert [job["jobId"] for job in jobs] == [answers[0][1]["jobId"]]


def imported(web: Web) -> str:
    """Return a plan that awaits approval."""
    answer = requests.post(
        f"{web.url}/api/marketplace/analysis/import",
        json={"title": "Shoes", "channels": ["amazon"], "planData": PLAN},
        headers=web.headers,
        timeout=10,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["planId"])
