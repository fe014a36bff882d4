"""A load in which every state occurs that dashboards show: the story of the demo, and a change of mode."""

from __future__ import annotations

import time

from deploy.local.simulations import SimulatedAgents, SlackInbox
from deploy.local.story import Story
from tests.stacks import RunningStack


def everything_happens(stack: RunningStack) -> None:
    """Play it to its end on a fresh stack whose circuits stay open for `deploy.local.story.OPEN_SECONDS`.

    Raises:
        StoryError: A step did not show what it names.
    """
    urls = stack.facts["urls"]
    agents, inbox = SimulatedAgents(urls["agents"]), SlackInbox(urls["inbox"])
    story = Story(stack.api, agents, inbox, started_at=time.monotonic(), is_interrupted=lambda: False)
    for step in story.steps():
        step.run()
    for mode in ("sync", "queue"):
        stack.api.put("mode", {"mode": mode, "reason": "a look at both"})
