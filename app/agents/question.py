"""Questions to agents."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from app.domain.plan import AnalysisPlan

Purpose = Literal["analysis", "phase1"]


@dataclass(frozen=True)
class Question:
    """What an agent is asked: for an analysis of its channel, or for the missing phase 1 of a plan."""

    purpose: Purpose
    channel: str
    title: str
    context: str
    plan: AnalysisPlan | None

    @property
    def opportunities(self) -> int:
        """Number of opportunities in the plan that the question is about."""
        return 0 if self.plan is None else len(self.plan.opportunities)

    @property
    def size(self) -> int:
        """What the time for an answer may depend on: the plan's opportunities, else thousands of characters to read."""
        return len(self.context) // 1000 if self.plan is None else self.opportunities

    def digest(self) -> str:
        """Return the SHA-256 in hex that this question has in every process."""
        plan = None if self.plan is None else self.plan.model_dump(mode="json", by_alias=True)
        parts = [self.purpose, self.channel, self.title, self.context, plan]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
