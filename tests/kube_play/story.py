"""What is asked of an installed chart: a plan becomes tasks, a worker's death loses nothing, Prometheus sees it."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Mapping
from typing import Any

from deploy.image.engine import EngineError
from loadtest.plans import ready_plan
from tests.kube_play.installation import Installation
from tests.kube_play.pods import Pod
from tests.servers import wait_until

_AGENT = "amazon"
_AGENTS_PORT = 8100
_PROMETHEUS_PORT = 9090

#: A job that takes so long is in flight for certain when its worker is told to stop, and done within its grace.
_SLOW_MS = 5000.0


def approve(installation: Installation, *, asks_agent: bool = False) -> str:
    """Import a plan and approve it through the published port; return its job's id."""
    body = ready_plan(random.Random(), _AGENT, tasks=3)
    if asks_agent:
        # Without a first phase, an agent must be asked for one.
        body["planData"]["phases"] = []  # type: ignore[index]  # it is a plan
    plan_id = installation.api("POST", "/api/marketplace/analysis/import", json=body)["planId"]
    answer = installation.api("PATCH", f"/api/marketplace/analysis/{plan_id}", json={"action": "approve"})
    return str(answer["jobId"])


def completed(installation: Installation, job_id: str, *, seconds: float) -> Mapping[str, Any]:
    """Return the job once it has completed."""

    def look() -> Mapping[str, Any] | None:
        job: Mapping[str, Any] = installation.api("GET", f"/api/marketplace/jobs/{job_id}")
        assert job["status"] != "failed", job
        return job if job["status"] == "completed" else None

    return wait_until(look, seconds=seconds, what=f"job {job_id}")


def tasks_of(installation: Installation, job: Mapping[str, Any]) -> list[str]:
    """Return the titles of the tasks of the job's plan."""
    found = installation.api("GET", f"/api/marketplace/tasks?planId={job['planId']}")
    return [str(task["title"]) for task in found["items"]]


def slow_agent(installation: Installation, latency_ms: float = _SLOW_MS) -> None:
    """Let the simulated agent take its time; 0 makes it fast again."""
    behaviour = {"mode": "slow", "latency_ms": latency_ms} if latency_ms else {"mode": "healthy", "latency_ms": 0}
    path = f"/behaviour/{_AGENT}"
    installation.fetch("demo-agents", _AGENTS_PORT, path, method="PUT", body=json.dumps(behaviour))


def stop_worker_during_job(installation: Installation, number: signal.Signals) -> tuple[Mapping[str, Any], float]:
    """Send a signal to the worker that runs a job; return the job once it has completed, and the seconds until then."""
    slow_agent(installation)
    job_id = approve(installation, asks_agent=True)
    pod = _runs(installation, job_id)
    started = time.monotonic()
    installation.signal(pod, number)
    if number == signal.SIGKILL:
        slow_agent(installation, 0)
    job = completed(installation, job_id, seconds=60)
    return job, time.monotonic() - started


def prometheus(installation: Installation, path: str) -> Any:
    """Return the data of an answer of the chart's Prometheus."""
    return json.loads(installation.fetch("prometheus", _PROMETHEUS_PORT, f"/api/v1/{path}"))["data"]


def targets(installation: Installation) -> dict[str, list[str]]:
    """Return the health of each target of the chart's Prometheus, by scrape job."""
    found: dict[str, list[str]] = {}
    for target in prometheus(installation, "targets?state=active")["activeTargets"]:
        found.setdefault(target["labels"]["job"], []).append(target["health"])
    return found


def broken_rules(installation: Installation) -> tuple[int, list[str]]:
    """Return how many rules the chart's Prometheus has, and those that it cannot evaluate."""
    rules = [rule for group in prometheus(installation, "rules")["groups"] for rule in group["rules"]]
    return len(rules), [rule["name"] for rule in rules if rule["health"] == "err"]


def value(installation: Installation, query: str) -> float:
    """Return the only value of a query, 0 when there is none."""
    result = prometheus(installation, f"query?query={query}")["result"]
    return float(result[0]["value"][1]) if result else 0.0


def hardening(installation: Installation) -> dict[str, str]:
    """Return what is wrong with the way each container runs; nothing where all is well."""
    wrong = {}
    for pod in installation.pods:
        found = installation.inspect(pod)
        host = found["HostConfig"]
        facts = {
            "root can be written": not host["ReadonlyRootfs"],
            "runs as root": found["Config"]["User"].partition(":")[0] in {"", "0", "root"},
            "may gain privileges": "no-new-privileges" not in host["SecurityOpt"],
            "has capabilities": bool(found.get("EffectiveCaps")),
            "is privileged": host["Privileged"],
        }
        if any(facts.values()):
            wrong[pod.name] = ", ".join(fact for fact, holds in facts.items() if holds)
    return wrong


def _runs(installation: Installation, job_id: str) -> Pod:
    """Return the pod of the worker that runs the job, by the name of its host."""

    def look() -> Pod | None:
        job = installation.api("GET", f"/api/marketplace/jobs/{job_id}")
        if job["status"] != "active":
            return None
        for pod in installation.of("worker"):
            try:
                hostname = installation.engine.run("exec", pod.container, "hostname").strip()
            except EngineError:
                continue
            if f"@{hostname}:" in json.dumps(job):
                return pod
        return None

    return wait_until(look, seconds=30, what=f"a worker that runs {job_id}")
