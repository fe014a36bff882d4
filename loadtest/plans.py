"""Plans as agents' answers make them: realistic, and the same for the same random numbers."""

from __future__ import annotations

import random

_STEPS = (
    "Rewrite the titles of the twenty best sellers",
    "Photograph the articles without a white background",
    "Answer the open questions of buyers",
    "Offer free shipping above the average basket",
    "Set up the campaign for the weekend",
    "Correct the sizes in the catalogue",
    "Bring back buyers of the last quarter",
    "Bundle the slow sellers with the best sellers",
)

_OPPORTUNITIES = ("Better titles", "Faster answers", "Bundles", "Free shipping", "Weekend campaign")


def ready_plan(chance: random.Random, channel: str, *, tasks: int) -> dict[str, object]:
    """Return the body of an import: a plan for one channel whose phase 1 has this many different tasks."""
    number = chance.randrange(10**9)
    return {
        "title": f"{channel} {number:09d}",
        "channels": [channel],
        "planData": {
            "summary": f"What {channel} can do better this month.",
            "channels": [channel],
            "opportunities": [
                {
                    "title": title,
                    "what": f"{title} for {chance.randrange(20, 400)} articles.",
                    "why": "Others do.",
                    "how": "One article after the other.",
                    "priority": chance.choice(("high", "medium", "low")),
                    "agent": channel,
                    "expectedImpact": f"+{chance.randrange(2, 20)} %",
                    "metric": "conversion",
                }
                for title in _OPPORTUNITIES
            ],
            "phases": [
                {
                    "number": 1,
                    "name": "Quick wins",
                    "weeks": "1-2",
                    "tasks": [f"{step} ({number:09d})" for step in chance.sample(_STEPS, tasks)],
                    "investment": "none",
                    "expectedImpact": "+5 %",
                }
            ],
            "metrics": [{"label": "Conversion", "baseline": "2.1 %", "goal": "2.6 %", "phase": 1}],
        },
    }
