"""The story of `make demo`: what a user does, over HTTP only, with every claim checked.

Each step names what it shows. A step that does not find what it names raises, and the demo fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cli.remote import Remote
from app.domain.errors import MarketplaceError
from app.settings import BreakerSettings
from deploy.local import story_plans
from deploy.local.agents_program import CHANNELS
from deploy.local.figures import Figures, read_figures, seconds_between
from deploy.local.simulations import SimulatedAgents, SlackInbox

#: A whole story; each step has its share of what is left.
STORY_SECONDS = 90.0
BURST = 50
#: How long a circuit stays open, and how long it does in the demo: nobody wants to watch a minute pass.
DEFAULT_OPEN_SECONDS = BreakerSettings().open_seconds
OPEN_SECONDS = 5.0
_POLL_SECONDS = 0.02


class StoryError(MarketplaceError):
    """A step did not show what it names."""

    code = "story"


class InterruptedStoryError(MarketplaceError):
    """The user, or the stack, has asked to stop."""

    code = "interrupted"


@dataclass(frozen=True)
class Step:
    """`run` does the step and returns what happened, in a few words."""

    title: str
    run: Callable[[], str]


class Story:
    """Tells the story on one fresh stack; `started_at` is when that stack began to start, on the monotonic clock."""

    def __init__(
        self,
        api: Remote,
        agents: SimulatedAgents,
        inbox: SlackInbox,
        *,
        started_at: float,
        is_interrupted: Callable[[], bool],
    ) -> None:
        self._api = api
        self._agents = agents
        self._inbox = inbox
        self._started_at = started_at
        self._is_interrupted = is_interrupted
        self._deadline = time.monotonic() + STORY_SECONDS
        self._analysis_plan = ""
        self._burst: list[str] = []
        self.first_job_seconds = 0.0
        self.agents_called: Mapping[str, int] = {}
        self.answers_mended = 0
        self._letter = ""
        self.letters_retried = 0
        self.circuit_open_seconds = 0.0
        #: From what happened to its message in Slack, in seconds.
        self.told_after_seconds: dict[str, float] = {}
        self.messages = 0
        self.figures: Figures | None = None

    def steps(self) -> list[Step]:
        """Return the steps, in the order in which they build on each other."""
        return [
            Step("First job: a plan is imported and approved", self._first_job),
            Step("Six agents are asked for an analysis", self._analysis),
            Step("The analysis is approved, twice", self._approval),
            Step("An agent fails once: the job is retried", self._retry),
            Step("An agent talks nonsense: tasks come from the opportunities", self._generated),
            Step("Nothing is known: minimal tasks ask for a review", self._minimal),
            Step("An agent gives no usable answer: a dead letter", self._dead_letter),
            Step("Slack tells of it", self._letter_told),
            Step("An agent dies: its circuit opens", self._circuit_opens),
            Step("Slack tells of it", self._circuit_told),
            Step("Its channel falls back", self._circuit_refuses),
            Step("The agent heals: its circuit closes by itself", self._circuit_closes),
            Step("Slack tells of the recovery", self._recovery_told),
            Step("The dead letter is retried", self._letter_retried),
            Step(f"{BURST} plans are approved in one go", self._approve_many),
            Step("Everything is counted", self._count),
        ]

    def _first_job(self) -> str:
        job = self._completed(self._approve(self._import("Plan with a first phase", "amazon", story_plans.PLAIN)))
        self.first_job_seconds = time.monotonic() - self._started_at
        _expect(job["result"]["source"] == "plan", f"tasks from the plan, not from {job['result']['source']}")
        return f"{_tasks(job)}, {self.first_job_seconds:.1f} s after the stack began to start"

    def _analysis(self) -> str:
        self._agents.behave("mercadolivre", mode="slow", latencyMs=700)
        self._agents.behave("tiktok-shop", mode="malformed", variant="missing_phase_numbers")
        self._agents.behave("kaway", mode="dead")
        before = self._agents.requests()
        asked = self._api.post("analysis", {"title": "Growth in spring", "channels": list(CHANNELS)})
        self._completed(asked["jobId"])
        self.agents_called = {agent: count - before[agent] for agent, count in self._agents.requests().items()}
        _expect(all(self.agents_called.values()), f"a call to each agent: {self.agents_called}")
        self._analysis_plan = asked["planId"]
        plan = self._api.get(f"analysis/{self._analysis_plan}")
        mended = {note.partition(":")[0] for note in plan["notes"] if "number" in note}
        missing = [note for note in plan["notes"] if note.startswith("kaway: the agent failed")]
        _expect(mended == {"tiktok-shop"}, f"a note on the missing phase numbers: {plan['notes']}")
        _expect(bool(missing), f"a note on the dead agent: {plan['notes']}")
        self.answers_mended = len(mended)
        return "one slow, one without phase numbers (mended), one dead (noted)"

    def _approval(self) -> str:
        first, second = (self._approve(self._analysis_plan) for _ in range(2))
        _expect(first == second, "one job for one plan")
        job = self._completed(first)
        _expect(job["result"]["source"] == "plan", f"tasks from the analysis, not from {job['result']['source']}")
        return f"one job, {_tasks(job)}"

    def _retry(self) -> str:
        self._agents.behave("shopee", mode="error", failFirst=1)
        job = self._completed(self._approve(self._import("Plan to retry", "shopee", story_plans.WITHOUT_PHASE_1)))
        outcomes = [attempt["outcome"] for attempt in job["attempts"]]
        _expect(outcomes == ["retrying", "completed"], f"one retry, then success: {outcomes}")
        _expect(job["result"]["source"] == "agent", f"tasks from the agent, not from {job['result']['source']}")
        return f"{job['attempts'][0]['error']['code']}, again after 1 s, {_tasks(job)}"

    def _generated(self) -> str:
        self._agents.behave("kaway", mode="malformed", variant="no_json")
        return self._fall_back("Plan with opportunities", story_plans.WITHOUT_PHASE_1, "generated")

    def _minimal(self) -> str:
        return self._fall_back("Plan with nothing", story_plans.EMPTY, "minimal")

    def _fall_back(self, title: str, plan: Mapping[str, object], source: str) -> str:
        job = self._completed(self._approve(self._import(title, "kaway", plan)))
        _expect(job["result"]["source"] == source, f"{source} tasks, not {job['result']['source']}")
        return _tasks(job)

    def _dead_letter(self) -> str:
        self._agents.behave("shein", mode="malformed", variant="no_json")
        asked = self._api.post("analysis", {"title": "Growth in autumn", "channels": ["shein"]})
        job = self._ended(asked["jobId"])
        _expect(job["status"] == "failed", f"the analysis to fail; it is {job['status']}")
        letter = self._api.get(f"dead-letters/{job['jobId']}")
        _expect(letter["status"] == "waiting", f"a dead letter that waits for a person; it is {letter['status']}")
        self._letter = job["jobId"]
        return f"{job['error']['code']}, no retry, kept with its whole history"

    def _letter_retried(self) -> str:
        self._agents.behave("shein", mode="healthy")
        retried = self._api.post(f"dead-letters/{self._letter}/retry", {})
        job = self._completed(retried["jobId"])
        letter = self._api.get(f"dead-letters/{self._letter}")
        _expect(letter["status"] == "retried", f"the dead letter to be retried; it is {letter['status']}")
        _expect(job["retryOf"] == self._letter, f"a job that names the failed one: {job['retryOf']}")
        self.letters_retried = 1
        return "the agent is well again, a new job linked to the failed one succeeds"

    def _circuit_opens(self) -> str:
        self._agents.behave("kaway", mode="healthy")
        self._expect_source("agent")
        self._agents.behave("kaway", mode="dead")
        threshold = self._circuit()["failureThreshold"]
        for _ in range(threshold):
            self._expect_source("cache")
        circuit = self._until(lambda found: found["state"] == "open", "to be open")
        return (
            f"{threshold} failures in a row ({circuit['lastError']['code']}), "
            f"next try in {circuit['secondsUntilRetry']:.1f} s (by default {DEFAULT_OPEN_SECONDS:.0f} s)"
        )

    def _circuit_refuses(self) -> str:
        before = self._agents.requests()["kaway"]
        channel = self._expect_source("cache")
        _expect(channel["errorCode"] == "circuit_open", f"a refusal by the circuit: {channel}")
        _expect(self._agents.requests()["kaway"] == before, "no request to the dead agent")
        return f"no request reached the agent, its last good answer stands in, {channel['ageSeconds']} s old"

    def _circuit_closes(self) -> str:
        self._agents.behave("kaway", mode="healthy")
        self._until(lambda found: found["state"] == "half_open", "to let a call through")
        while self._circuit()["state"] != "closed":
            _expect(time.monotonic() < self._deadline, "the circuit of kaway to be closed in time")
            self._ask_kaway()
        causes = ["recovered", "time_up", "failures"]
        circuit = self._until(
            lambda found: [change["cause"] for change in found["history"][:3]] == causes, f"to turn by {causes}"
        )
        self.circuit_open_seconds = seconds_between(circuit["history"][2]["at"], circuit["history"][0]["at"])
        return f"{circuit['successThreshold']} calls succeeded, {self.circuit_open_seconds:.1f} s after it had opened"

    def _letter_told(self) -> str:
        letter = self._api.get(f"dead-letters/{self._letter}")
        words = (letter["planId"], self._letter, letter["reason"])
        return f"{self._told('job_failed', letter['archivedAt'], *words)}, with plan, job, error and what was done"

    def _circuit_told(self) -> str:
        return self._told("circuit_opened", self._circuit()["history"][0]["at"], "kaway")

    def _recovery_told(self) -> str:
        return self._told("recovery_success", self._circuit()["history"][0]["at"], "kaway")

    def _told(self, kind: str, since: str, *words: str) -> str:
        """Wait for the message of this type with these words."""
        while not self._is_interrupted():
            found = self._inbox.messages(kind, *words)
            if found:
                self.told_after_seconds[kind] = seconds = seconds_between(since, found[0]["receivedAt"])
                return f"a message {seconds:.1f} s later"
            _expect(time.monotonic() < self._deadline, f"a message {kind} about {', '.join(words)} in time")
            time.sleep(_POLL_SECONDS)
        raise InterruptedStoryError("interrupted")

    def _expect_source(self, source: str) -> dict[str, Any]:
        channel = self._ask_kaway()
        _expect(channel["source"] == source, f"an answer of kaway from {source}: {channel}")
        return channel

    def _ask_kaway(self) -> dict[str, Any]:
        """Return what came of a question to the agent kaway, among others."""
        asked = self._api.post("analysis", {"title": "Weekly look", "channels": ["amazon", "kaway"]})
        channels: list[dict[str, Any]] = self._completed(asked["jobId"])["result"]["channels"]
        return channels[1]

    def _circuit(self) -> dict[str, Any]:
        return self._api.get("breakers/kaway")

    def _until(self, holds: Callable[[Mapping[str, Any]], bool], what: str) -> Mapping[str, Any]:
        """Return the circuit of the agent kaway once it is as it should be."""
        while not self._is_interrupted():
            circuit = self._circuit()
            if holds(circuit):
                return circuit
            _expect(time.monotonic() < self._deadline, f"the circuit of kaway {what} in time; it is {circuit['state']}")
            time.sleep(_POLL_SECONDS)
        raise InterruptedStoryError("interrupted")

    def _approve_many(self) -> str:
        plans = [self._import(f"Plan {n} of {BURST}", "amazon", story_plans.PLAIN) for n in range(1, BURST + 1)]
        started_at = time.monotonic()
        self._burst = [self._approve(plan) for plan in plans]
        for job_id in self._burst:
            self._completed(job_id)
        return f"all completed after {time.monotonic() - started_at:.1f} s"

    def _count(self) -> str:
        self.figures = figures = read_figures(self._api, self._burst)
        self.messages = len(self._inbox.messages())
        _expect(figures.lost == 0, f"no plan lost: {figures}")
        _expect(figures.duplicated == 0, f"no plan with tasks twice: {figures}")
        _expect(figures.retries >= 1, f"a retry: {figures}")
        _expect({"plan", "agent", "generated", "minimal"} <= set(figures.tasks), f"tasks of each source: {figures}")
        return f"approved {figures.plans_approved} = completed {figures.plans_completed}"

    def _import(self, title: str, channel: str, plan: Mapping[str, object]) -> str:
        imported = self._api.post("analysis/import", {"title": title, "channels": [channel], "planData": plan})
        return str(imported["planId"])

    def _approve(self, plan_id: str) -> str:
        return str(self._api.patch(f"analysis/{plan_id}", {"action": "approve"})["jobId"])

    def _completed(self, job_id: str) -> dict[str, Any]:
        """Return the job once it has completed."""
        job = self._ended(job_id)
        _expect(job["status"] == "completed", f"job {job_id} to complete: {job['error']}")
        return job

    def _ended(self, job_id: str) -> dict[str, Any]:
        """Return the job once it has completed or failed."""
        while not self._is_interrupted():
            job = self._api.get(f"jobs/{job_id}")
            if job["status"] in {"completed", "failed"}:
                return job
            _expect(time.monotonic() < self._deadline, f"job {job_id} to end in time; it is {job['status']}")
            time.sleep(_POLL_SECONDS)
        raise InterruptedStoryError("interrupted")


def _tasks(job: Mapping[str, Any]) -> str:
    count = job["result"]["taskCount"]
    return f"{count} task{'' if count == 1 else 's'}"


def _expect(holds: bool, what: str) -> None:  # noqa: FBT001 -- as in an assertion, the condition comes first
    if not holds:
        raise StoryError(f"expected {what}")
