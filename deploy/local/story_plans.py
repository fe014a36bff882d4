"""The plans that the demo brings in, one for each way to Phase 1 tasks."""

from __future__ import annotations

from typing import Any

PLAIN: dict[str, Any] = {
    "summary": "Answer questions within the hour and keep the best sellers in stock.",
    "phases": [
        {
            "number": 1,
            "name": "Quick wins",
            "weeks": "1-2",
            "tasks": [
                "Set order points of fourteen days for the thirty best sellers",
                "Answer buyers' questions within an hour",
                "Rewrite the titles of the twenty weakest listings",
            ],
        }
    ],
}

WITHOUT_PHASE_1: dict[str, Any] = {
    "summary": "Opportunities are known, their first phase is not.",
    "opportunities": [
        {"title": "Sell bundles of products that are bought together", "priority": "high"},
        {"title": "Take part in the campaigns on double dates", "priority": "alta"},
        {"title": "Offer free shipping above a basket of 79", "priority": "medium"},
    ],
    "phases": [{"number": 2, "name": "Expansion", "tasks": ["Enter two neighbouring categories"]}],
}

EMPTY: dict[str, Any] = {"summary": "Nothing is known of this channel yet."}
