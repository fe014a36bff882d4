"""What the check does with the stack; each step returns what it saw, in a few words, and fails by an assertion."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.metrics import JOBS_ENQUEUED, RELAY_REFUSED
from deploy.local import story_plans
from deploy.local.simulations import SimulatedAgents, SlackInbox
from monitoring.scraping import METRICS_PATHS, WORKER_JOB
from tests.compose_check.stack import SERVICES, ComposeStack, name_of
from tests.servers import wait_until

_WORKERS = 3
_ANALYSES = 6
_PLANS = 40

#: The channels whose agents take their time while the stack is stopped.
_SLOW = ("amazon", "shopee")


@dataclass
class Steps:
    """The steps, in their order."""

    stack: ComposeStack
    jobs: list[str] = field(default_factory=list)

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        """Return what each step is called, and does."""
        return [
            ("up: migrated, and every server healthy", self.start),
            ("no container runs as root or could write to its root, none has a privilege", self.is_hardened),
            ("secrets are in no environment and no command", self.keeps_secrets),
            ("a plan is imported and approved through the published port", self.approve),
            ("six agents are asked in an analysis", self.analyse),
            ("every job is scraped", self.is_scraped),
            (f"{_WORKERS} workers are found and scraped", self.scale),
            ("Watchdog comes from Prometheus over Alertmanager to the relay", self.is_watched),
            ("a message reaches Slack", self.tells),
            ("SIGTERM during jobs: every process ends with 0", self.stop),
            ("up again: nothing is lost, what was under way completes", self.keeps),
            ("down: stopped by Docker Compose with 0", self.end),
        ]

    def start(self) -> str:
        """Start it."""
        began = time.monotonic()
        self.stack.up()
        [migrate] = [one for one in self.stack.containers() if name_of(one) == "migrate"]
        assert migrate["State"]["ExitCode"] == 0
        return f"{len(SERVICES)} services, {time.monotonic() - began:.0f} s"

    def is_hardened(self) -> str:
        """Look at the containers from outside and from inside."""
        containers = self.stack.containers()
        for one in containers:
            host, name = one["HostConfig"], name_of(one)
            assert host["ReadonlyRootfs"], name
            assert host["CapDrop"] == ["ALL"], name
            assert "no-new-privileges:true" in host["SecurityOpt"], name
            assert int(one["Config"]["User"].split(":")[0]) > 0, name
            assert host["Memory"] > 0, name
            for bindings in (host["PortBindings"] or {}).values():
                assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, name
        for one in containers:
            if one["State"]["Running"]:
                told = self.stack.docker.answer("exec", one["Id"], "cat", "/proc/1/status")
                status = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
                assert status["CapEff"].strip() == "0000000000000000", name_of(one)
                assert status["NoNewPrivs"] == "1", name_of(one)
                assert status["Uid"].split()[0] != "0", name_of(one)
                tried = self.stack.docker.run("docker", "exec", one["Id"], "sh", "-c", "echo > /written")
                assert tried.returncode != 0, name_of(one)
        return f"{len(containers)} containers"

    def keeps_secrets(self) -> str:
        """Look for the text of each secret in what Docker tells of the containers, and in their processes."""
        secrets = [file.read_text(encoding="ascii") for file in (self.stack.directory / "secrets").iterdir()]
        for one in self.stack.containers():
            told = str(one)
            if one["State"]["Running"]:
                told += self.stack.docker.answer("top", one["Id"], "-eo", "pid,args")
            assert not any(secret in told for secret in secrets if secret), name_of(one)
        return f"{sum(bool(secret) for secret in secrets)} secrets"

    def approve(self) -> str:
        """Approve a plan, and wait for its tasks."""
        began = time.monotonic()
        job = self._completed(self._approved("Plan with a first phase"))
        assert job["result"]["taskCount"] == 3, job
        return f"{job['result']['taskCount']} tasks, {time.monotonic() - began:.1f} s"

    def analyse(self) -> str:
        """Ask the simulated agents."""
        asked = self.stack.api.post("analysis", {"title": "Growth in spring", "channels": ["amazon", "shopee"]})
        job = self._completed(asked["jobId"])
        return f"{job['status']}"

    def is_scraped(self) -> str:
        """Wait until every job has a target that is up."""

        def jobs() -> Counter[str]:
            return Counter(one["metric"]["job"] for one in self.stack.query("up == 1"))

        wait_until(lambda: set(jobs()) == set(METRICS_PATHS), seconds=60, what="all jobs up")
        assert self.stack.query("up == 0") == []
        assert {one["metric"]["environment"] for one in self.stack.query("up")} == {"compose"}
        counted = f"sum({JOBS_ENQUEUED.name}) > 0"
        wait_until(lambda: self.stack.query(counted), seconds=30, what="counted jobs")
        return ", ".join(f"{job} {count}" for job, count in sorted(jobs().items()))

    def scale(self) -> str:
        """Start more workers."""
        began = time.monotonic()
        self.stack.compose("up", "--detach", "--no-recreate", "--scale", f"worker={_WORKERS}", "worker")
        up = f'up{{job="{WORKER_JOB}"}} == 1'
        # With the quarantine worker.
        wait_until(lambda: len(self.stack.query(up)) == _WORKERS + 1, seconds=90, what="targets of the workers")
        return f"{len(self.stack.query(up))} targets after {time.monotonic() - began:.0f} s"

    def is_watched(self) -> str:
        """Wait for the alert that always fires."""
        alerts = 'ALERTS{alertname="MarketplaceWatchdog", alertstate="firing"}'
        wait_until(lambda: self.stack.query(alerts), seconds=60, what="Watchdog")
        sent = 'alertmanager_notifications_total{integration="webhook"} > 0'
        wait_until(lambda: self.stack.query(sent), seconds=60, what="a notification")
        assert self.stack.query('alertmanager_notifications_failed_total{integration="webhook"} > 0') == []
        assert self.stack.query(f"{RELAY_REFUSED.name} > 0") == []
        return f"{self.stack.query(sent)[0]['value'][1]} notifications, none refused"

    def tells(self) -> str:
        """Let an agent answer nonsense, and wait for what the relay tells of the job that fails by it."""
        SimulatedAgents("http://127.0.0.1:8100").behave("shein", mode="malformed", variant="no_json")
        asked = self.stack.api.post("analysis", {"title": "Growth in autumn", "channels": ["shein"]})
        began = time.monotonic()
        inbox = SlackInbox("http://127.0.0.1:8201")
        wait_until(lambda: inbox.messages("job_failed", asked["jobId"]), seconds=60, what="a message in Slack")
        return f"a job that failed, {time.monotonic() - began:.0f} s"

    def stop(self) -> str:
        """Stop it while analyses run, and plans wait."""
        agents = SimulatedAgents("http://127.0.0.1:8100")
        for channel in _SLOW:
            agents.behave(channel, mode="slow", latencyMs=4000)
        api = self.stack.api
        asked = [
            api.post("analysis", {"title": f"Look {number}", "channels": list(_SLOW)})["jobId"]
            for number in range(_ANALYSES)
        ]
        self.jobs = [*asked, *(self._approved(f"Plan {number}") for number in range(_PLANS))]
        wait_until(lambda: self._states(asked)["active"], seconds=20, what="analyses that run")
        running = self._states(asked)["active"]
        began = time.monotonic()
        self.stack.compose("stop")
        codes = {one["Name"]: one["State"]["ExitCode"] for one in self.stack.containers()}
        told = [self.stack.docker.run("docker", "logs", "--tail=30", name[1:]) for name, code in codes.items() if code]
        assert set(codes.values()) == {0}, "\n".join([str(codes), *(one.stdout + one.stderr for one in told)])
        return f"{running} analyses ran; {len(codes)} containers, {time.monotonic() - began:.0f} s"

    def keeps(self) -> str:
        """Start it again."""
        began = time.monotonic()
        self.stack.up()
        jobs = [self._completed(job_id) for job_id in self.jobs]
        assert [job["result"]["taskCount"] for job in jobs[_ANALYSES:]] == [3] * _PLANS
        return f"{_ANALYSES} analyses and {_PLANS} plans completed, {time.monotonic() - began:.0f} s"

    def end(self) -> str:
        """Remove it."""
        self.stack.compose("down", "--volumes", "--timeout", "30")
        assert self.stack.docker.answer("ps", "--all", "--quiet") == ""
        return "nothing is left"

    def _approved(self, title: str) -> str:
        plan = {"title": title, "channels": ["amazon"], "planData": story_plans.PLAIN}
        imported = self.stack.api.post("analysis/import", plan)
        return str(self.stack.api.patch(f"analysis/{imported['planId']}", {"action": "approve"})["jobId"])

    def _states(self, job_ids: list[str]) -> Counter[str]:
        return Counter(str(self.stack.api.get(f"jobs/{job_id}")["status"]) for job_id in job_ids)

    def _completed(self, job_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job = self.stack.api.get(f"jobs/{job_id}")
            return job if job["status"] in {"completed", "failed"} else None

        job = wait_until(ended, seconds=90, what=f"job {job_id}")
        assert job is not None
        assert job["status"] == "completed", job
        return job
