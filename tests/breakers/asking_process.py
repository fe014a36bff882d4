"""A process that asks an agent through the product's own gateway when it is told to: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from app.agents.question import Question
from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError
from app.domain.processes import ProcessRole
from app.logs import configure_logs
from app.runtime import Runtime, build_runtime
from app.settings import LogSettings, load_settings
from tests.servers import end, wait_until
from tests.stacks import clean_environment

_ANSWER_SECONDS = 60.0


def ask(runtime: Runtime, agent: str) -> dict[str, object]:
    """Ask the agent once; `at` is when it ended, on the clock that all processes of this machine share."""
    outcome, started = "ok", time.monotonic()
    try:
        runtime.gateway.ask(agent, Question("analysis", agent, "Shoes", "", None), Deadline.after(30))
    except MarketplaceError as error:
        outcome = error.code
    return {"outcome": outcome, "seconds": time.monotonic() - started, "at": time.monotonic()}


def obey(runtime: Runtime, order: Mapping[str, Any]) -> object:
    """Do what one line says."""
    agent = order["agent"]
    match order["do"]:
        case "ask":
            with ThreadPoolExecutor(order["threads"]) as pool:
                return list(pool.map(lambda _: ask(runtime, agent), range(order["calls"])))
        case "watch":
            # Until calls are refused; asked of the breaker alone, so that no call reaches the agent.
            until = time.monotonic() + _ANSWER_SECONDS / 2
            while not runtime.breakers.view(agent).seconds_until_retry and time.monotonic() < until:
                time.sleep(0.0002)
            return {"at": time.monotonic()}
        case "view":
            view = runtime.breakers.view(agent)
            return {"state": view.state, "inTouch": view.in_touch, "secondsUntilRetry": view.seconds_until_retry}
    raise ValueError(order)


def main() -> None:
    """Obey until the input ends."""
    configure_logs(LogSettings(level="ERROR"))
    runtime = build_runtime(load_settings(), ProcessRole.WORKER, "fail_fast")
    runtime.breakers.start()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(obey(runtime, json.loads(line))) + "\n")
        sys.stdout.flush()
    runtime.close()


class AskingProcess:
    """Such a process, as its parent sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self, do: str, agent: str = "amazon", **more: object) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "agent": agent, **more}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:  # noqa: ANN401 -- JSON
        """Return what came of it."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, calls: int = 1, *, threads: int = 1) -> list[dict[str, Any]]:
        """Let it ask so often, so many calls at once; return how each call ended."""
        self.begin("ask", calls=calls, threads=threads)
        found: list[dict[str, Any]] = self.answer()
        return found

    def view(self) -> dict[str, Any]:
        """Return how it takes the circuit to be."""
        self.begin("view")
        found: dict[str, Any] = self.answer()
        return found


@contextmanager
def asking_processes(
    count: int, *, agents_url: str, redis_url: str, database_url: str, **settings: str
) -> Iterator[list[AskingProcess]]:
    """Yield so many processes that are in touch with Redis; `settings` are environment variables."""
    agents = [
        {
            "name": "amazon",
            "channel": "amazon",
            "url": f"{agents_url}/amazon/analyse",
            "protocol": "http",
            "timeout_seconds": 10,
        },
    ]
    environment = clean_environment(
        REDIS_URL=redis_url,
        DATABASE_URL=database_url,
        MARKETPLACE_AGENTS__ITEMS=json.dumps(agents),
        MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS="true",
        **settings,
    )
    command = [sys.executable, "-m", "tests.breakers.asking_process"]
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        found = [AskingProcess(process) for process in processes]
        wait_until(lambda: all(process.view()["inTouch"] for process in found), what="all to follow Redis")
        yield found
    finally:
        for process in processes:
            end(process)  # type: ignore[arg-type]
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


if __name__ == "__main__":
    main()
