"""The people who use the product, for Locust: `make load`, or `.venv-load/bin/locust -f loadtest/locustfile.py`.

MARKETPLACE_URL and MARKETPLACE_TOKEN (or MARKETPLACE_TOKEN_FILE) say where the stack is. The run ends when all
`--approvals` are made; then every approved plan is looked up, and the exit code is 6 when a threshold is missed.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gevent
import requests
from gevent.pool import Pool
from locust import events, task
from locust.env import Environment
from locust.exception import StopUser

# Locust puts the folder of this file first on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtest.ledger import Accepted, Ledger
from loadtest.load_report import LoadReport, load_report, write_report
from loadtest.person import MOST_TRIES, POLL_SECONDS, Person, TaskFailedError, pause_after, token
from loadtest.plans import ready_plan
from loadtest.verdict import settle

CHANNELS = ("amazon", "mercadolivre", "shopee", "shein", "tiktok-shop", "kaway")

#: Share of operators who click twice.
_DOUBLE_CLICKS = 0.1

_THRESHOLD_MISSED = 6


class Operator(Person):
    """Imports a plan, approves it, and watches the job until the tasks are there."""

    weight = 8

    @task
    def decide_a_plan(self) -> None:
        """Take one of the approvals that this run still has to make."""
        ledger: Ledger = self.environment.ledger
        if not ledger.take():
            raise StopUser
        try:
            approval = self.approve()
        except TaskFailedError:
            ledger.give_back()
            return
        ledger.accept(approval)
        try:
            for job_id in approval.job_ids:
                self.wait_for(job_id, kind="phase1")
            self.call(
                "GET",
                f"/api/marketplace/tasks?planId={approval.plan_id}",
                name="/api/marketplace/tasks?planId=",
                status=HTTPStatus.OK,
            )
        except TaskFailedError:
            return

    def approve(self) -> Accepted:
        """Import a plan and approve it; some click twice."""
        tasks = self.chance.randint(3, 6)
        imported = self.call(
            "POST",
            "/api/marketplace/analysis/import",
            name="/api/marketplace/analysis/import",
            status=HTTPStatus.CREATED,
            json=ready_plan(self.chance, self.chance.choice(CHANNELS), tasks=tasks),
        )
        started = time.perf_counter()
        answers = [self.decide(imported["planId"])]
        seconds = time.perf_counter() - started
        if self.chance.random() < _DOUBLE_CLICKS:
            answers.append(self.decide(imported["planId"]))
        return Accepted(imported["planId"], frozenset(answer["jobId"] for answer in answers), tasks, seconds)

    def decide(self, plan_id: str) -> dict[str, Any]:
        """Approve a plan."""
        return self.call(
            "PATCH",
            f"/api/marketplace/analysis/{plan_id}",
            name="/api/marketplace/analysis/{planId} approve",
            # 200 when the API has run the job itself: Redis did not answer in time, or an operator wants it so.
            status=(HTTPStatus.ACCEPTED, HTTPStatus.OK),
            json={"action": "approve"},
        )


class Analyst(Person):
    """Asks the agents for an analysis, and reads the plan that comes of it."""

    weight = 1

    @task
    def request_an_analysis(self) -> None:
        """Ask about two channels."""
        try:
            requested = self.call(
                "POST",
                "/api/marketplace/analysis",
                name="/api/marketplace/analysis",
                status=HTTPStatus.ACCEPTED,
                json={"title": "Weekly look", "channels": self.chance.sample(CHANNELS, 2)},
            )
            self.wait_for(requested["jobId"], kind="analysis")
            self.call(
                "GET",
                f"/api/marketplace/analysis/{requested['planId']}",
                name="/api/marketplace/analysis/{planId}",
                status=HTTPStatus.OK,
            )
        except TaskFailedError:
            return


class Viewer(Person):
    """Reads lists and job pages."""

    weight = 1

    @task(3)
    def look_at_the_lists(self) -> None:
        """Read the plans that wait for a decision, and the newest jobs."""
        try:
            for path in (
                "/api/marketplace/analysis?status=awaiting_approval&limit=20",
                "/api/marketplace/jobs?limit=20",
            ):
                self.call("GET", path, name=path, status=HTTPStatus.OK)
        except TaskFailedError:
            return

    @task(1)
    def look_at_the_health(self) -> None:
        """Ask whether Redis is there."""
        try:
            self.call("GET", "/api/health/redis", name="/api/health/redis", status=HTTPStatus.OK)
        except TaskFailedError:
            return


@events.init_command_line_parser.add_listener
def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--approvals", type=int, default=1000, help="plans to approve before the run ends")
    parser.add_argument("--settle-seconds", type=float, default=60.0, help="time that open jobs get to end afterwards")
    parser.add_argument("--report-dir", type=Path, default=Path("var/reports"), help="where the report is written")


@events.test_start.add_listener
def _begin(environment: Environment, **_: object) -> None:
    environment.host = environment.host or os.environ.get("MARKETPLACE_URL")
    environment.ledger = Ledger(wanted=environment.parsed_options.approvals)
    environment.started_at = datetime.now(UTC)
    gevent.spawn(_end_when_complete, environment)


@events.quitting.add_listener
def _judge(environment: Environment, **_: object) -> None:
    # Until the verdict is there, the run has not passed.
    environment.process_exit_code = _THRESHOLD_MISSED
    options = environment.parsed_options
    ended_at = datetime.now(UTC)
    outcomes = settle(environment.ledger.accepted, _plans(environment.host), seconds=options.settle_seconds)
    entries = environment.stats.entries
    report = load_report(
        outcomes,
        wanted=options.approvals,
        users=options.num_users or 1,
        started_at=environment.started_at,
        duration_seconds=(ended_at - environment.started_at).total_seconds(),
        requests=sum(entry.num_requests for (_name, method), entry in entries.items() if method != "JOB"),
        request_failures=environment.stats.total.num_failures,
    )
    path = write_report(report, options.report_dir)
    # Locust prints its own tables after this event: the summary comes last.
    environment.events.quit.add_listener(lambda **_: _print_summary(report, path))
    if not report.missed():
        environment.process_exit_code = 0


def _print_summary(report: LoadReport, path: Path) -> None:
    lines = [f"{name:<36}{value}" for name, value in report.rows()]
    lines += [f"report: {path}", *(f"threshold missed: {missed}" for missed in report.missed())]
    sys.stdout.write("\n".join(lines) + "\n")


def _end_when_complete(environment: Environment) -> None:
    while not environment.ledger.is_complete:
        gevent.sleep(0.1)
    # Let the operators see their last jobs end, as far as they do.
    gevent.sleep(2 * POLL_SECONDS)
    environment.runner.quit()


def _plans(host: str) -> Callable[[Sequence[str]], list[Mapping[str, Any]]]:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token()}"

    def fetch(plan_id: str) -> Mapping[str, Any]:
        for _ in range(MOST_TRIES):
            response = session.get(f"{host}/api/marketplace/analysis/{plan_id}", timeout=15)
            if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            gevent.sleep(pause_after(response.headers.get("Retry-After")))
        response.raise_for_status()
        plan: Mapping[str, Any] = response.json()
        return plan

    def fetch_all(plan_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        return list(Pool(8).map(fetch, plan_ids))

    return fetch_all
