"""The web application in this process, on a real database and a real Valkey, for integration tests."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.api.application import create_app
from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.domain.roles import Actor, Role
from app.job_execution import JobBody, JobExecutor
from app.job_runs import Heartbeat
from app.settings import (
    AgentsSettings,
    DatabaseSettings,
    JobSettings,
    OutboundSettings,
    RedisSettings,
    Settings,
    WebSettings,
)
from app.storage.processes import show_process
from app.storage.schema import jobs, metadata, plans
from app.tokens import new_token
from app.web_runtime import build_web_runtime
from tests.pipeline import PLAN, no_work

SETTER = Actor("set-up", Role.ADMIN)

AGENTS = json.dumps(
    [
        {"name": channel, "channel": channel, "protocol": "http", "url": "https://agents.example.com/"}
        for channel in ("amazon", "shopee")
    ]
)

#: Limits low enough to be passed by a test.
SMALL_BODY_BYTES = 200_000
SMALL_UPLOAD_BYTES = 300_000


class Api:
    """The application with a token for each role."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        *,
        web: WebSettings | None = None,
        namespace: str | None = None,
        tokens: Mapping[Role, str] | None = None,
    ) -> None:
        namespace = namespace or f"{{test-{secrets.token_hex(6)}}}"
        self.settings = Settings(
            database=DatabaseSettings(url=SecretStr(database_url)),
            # Time enough for a Redis that is well, however busy the machine.
            redis=RedisSettings(
                url=SecretStr(redis_url),
                namespace=namespace,
                fail_fast_timeout_seconds=1.0,
                fail_fast_pause_seconds=1.5,
            ),
            agents=AgentsSettings(items=SecretStr(AGENTS)),
            jobs=JobSettings(retry_delays_seconds=(0.0,)),
            outbound=OutboundSettings(allow_private_agents=True, allow_private_webhooks=True),
            web=web
            or WebSettings(
                max_body_bytes=SMALL_BODY_BYTES,
                max_upload_bytes=SMALL_UPLOAD_BYTES,
                rate_limit_per_minute=0,
                rate_limit_auth_failures_per_minute=0,
                # A scrape tells what is there now, however busy the machine.
                levels_budget_seconds=10.0,
                levels_cache_seconds=0.0,
            ),
        )
        self.runtime = build_web_runtime(self.settings)
        self.app = create_app(self.runtime)
        self.client = self.app.test_client()
        self.tokens = dict(tokens or {role: new_token() for role in Role})
        for role, token in self.tokens.items():
            self.runtime.tokens.adopt(role.value, token, role)
        with self.runtime.database.write() as connection:
            for process in (ProcessRole.WORKER, ProcessRole.SCHEDULER):
                show_process(self.runtime.database, connection, f"{process}@host:1:ab", process)

    def beside(self) -> Api:
        """Return the application of another process of the same stack."""
        return Api(
            self.settings.database.url.get_secret_value(),
            self.settings.redis.url.get_secret_value(),
            web=self.settings.web,
            namespace=self.settings.redis.namespace,
            tokens=self.tokens,
        )

    def close(self) -> None:
        """Close every connection."""
        self.runtime.close()

    def headers(self, role: Role | None = Role.ADMIN) -> dict[str, str]:
        """Return the headers that a caller of this role sends."""
        return {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}

    def call(self, method: str, path: str, role: Role | None = Role.ADMIN, **options: Any) -> TestResponse:
        """Send a request; `options` are those of the test client."""
        headers = {**self.headers(role), **options.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, role: Role | None = Role.VIEWER) -> TestResponse:
        """Read something."""
        return self.call("GET", path, role)

    def imported(self, plan: Mapping[str, Any] | None = None, channels: tuple[str, ...] = ("amazon",)) -> UUID:
        """Return a plan that awaits approval."""
        answer = self.call(
            "POST",
            "/api/marketplace/analysis/import",
            Role.APPROVER,
            json={"title": "Shoes", "channels": channels, "planData": PLAN if plan is None else plan},
        )
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return UUID(answer.get_json()["planId"])

    def decide(self, plan_id: UUID, role: Role | None = Role.APPROVER, **decision: str) -> TestResponse:
        """Approve or reject a plan."""
        return self.call("PATCH", f"/api/marketplace/analysis/{plan_id}", role, json=decision)

    def approved(self) -> tuple[UUID, UUID]:
        """Return an approved plan and its job."""
        plan_id = self.imported()
        return plan_id, UUID(self.decide(plan_id, action="approve").get_json()["jobId"])

    def age(self, plan_id: UUID, *, seconds: float) -> None:
        """Make an approval, and the waiting of its job, older than they are."""
        then = datetime.now(UTC) - timedelta(seconds=seconds)
        with self.runtime.database.write() as connection:
            connection.execute(update(plans).where(plans.c.id == plan_id).values(approved_at=then))
            connection.execute(update(jobs).where(jobs.c.plan_id == plan_id).values(available_at=then))

    def lose_database(self) -> None:
        """Make the SQLite file impossible to open."""
        self.runtime.database.close()
        path = Path(self.settings.database.url.get_secret_value().removeprefix("sqlite:///"))
        path.unlink()
        path.mkdir()

    def executor(self, body: JobBody = no_work) -> JobExecutor:
        """Return what runs jobs, as a worker would."""
        heartbeat = Heartbeat(self.runtime.database, self.runtime.metrics, beat_seconds=3, lease_seconds=12)
        return JobExecutor(
            self.runtime.database,
            self.settings.jobs,
            dict.fromkeys(JobKind, body),
            heartbeat,
            self.runtime.metrics,
            owner="worker-1",
        )

    def digest(self) -> str:
        """Return a digest of every row of every table."""
        found = hashlib.sha256()
        with self.runtime.database.read() as connection:
            for table in metadata.sorted_tables:
                rows = sorted(repr(tuple(row)) for row in connection.execute(select(table)))
                found.update(repr((table.name, rows)).encode("utf-8", "backslashreplace"))
        return found.hexdigest()


@contextmanager
def api_on(redis_url: str, template: Path, directory: Path, *, web: WebSettings | None = None) -> Iterator[Api]:
    """Yield the application on a copy of this SQLite file, and on this Redis, which may be down."""
    path = directory / "api.db"
    shutil.copyfile(template, path)
    api = Api(f"sqlite:///{path}", redis_url, web=web)
    try:
        yield api
    finally:
        api.close()


def problem_of(answer: TestResponse) -> dict[str, Any]:
    """Return the problem document of an answer, and check that it is one."""
    assert answer.content_type == "application/problem+json", (answer.status, answer.get_data(as_text=True))
    problem: dict[str, Any] = answer.get_json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "requestId", "errors"}
    assert problem["status"] == answer.status_code
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


def fields_of(answer: TestResponse) -> list[str]:
    """Return the fields that a problem document names."""
    return [error["field"] for error in problem_of(answer)["errors"]]


def server_process(api: Api) -> int:
    """Return the process id of the Redis server."""
    info = api.runtime.redis.info("server")
    assert isinstance(info, dict)
    return int(info["process_id"])
