"""What fake agents say: plausible plans, the same for the same draw, and the same plans badly written."""

from __future__ import annotations

import json
from itertools import cycle
from random import Random
from typing import Any, NamedTuple


class _Idea(NamedTuple):
    title: str
    what: str
    why: str
    how: str
    metric: str
    gain: tuple[int, int]
    task: str


#: Display name, and a fact that makes its analysis differ from the others'.
_CHANNELS = {
    "amazon": ("Amazon", "the buy box decides four of five sales"),
    "mercadolivre": ("Mercado Livre", "reputation and free shipping decide the position in search"),
    "shopee": ("Shopee", "coupons and campaigns on double dates bring most new buyers"),
    "shein": ("Shein", "buyers are young and follow trends that last three weeks"),
    "tiktok-shop": ("TikTok Shop", "videos of creators bring more sales than search"),
    "kaway": ("Kaway", "the channel is new and its categories are thinly served"),
}

_IDEAS = (
    _Idea(
        "Sell bundles of products that are bought together",
        "Offer sets of two or three products that share a basket today.",
        "One parcel carries more, so shipping weighs less on each sale.",
        "Take the ten most frequent pairs, price each set 8 % below its parts, and measure for two weeks.",
        "average order value",
        (4, 12),
        "List the ten product pairs that share a basket most often",
    ),
    _Idea(
        "Rewrite the titles and pictures of the weakest listings",
        "Give the twenty listings with most views and fewest sales a new title and first picture.",
        "They are found but not chosen: the listing is what loses the sale.",
        "Put the use first and the brand last, show the product in use, and test five listings at a time.",
        "conversion rate",
        (3, 9),
        "Pick the twenty listings with most views and fewest sales",
    ),
    _Idea(
        "Keep the best sellers in stock",
        "Order the thirty best sellers by days of cover instead of by month.",
        "Every day without stock costs its sales and the position in search.",
        "Set an order point of fourteen days and an alert at seven.",
        "days out of stock",
        (5, 15),
        "Set order points of fourteen days for the thirty best sellers",
    ),
    _Idea(
        "Answer buyers within an hour",
        "Answer questions before the sale within an hour in opening times.",
        "Buyers ask three sellers at once and take the first answer.",
        "Prepare answers to the fifteen most frequent questions and share a rota.",
        "time to first answer",
        (2, 6),
        "Write answers to the fifteen most frequent questions",
    ),
    _Idea(
        "Move advertising to what already sells",
        "Spend four fifths of the budget on the products that earn back what they cost.",
        "Half of the budget goes to clicks that never became a sale.",
        "Stop every campaign below a return of two, and double those above five, week by week.",
        "return on advertising",
        (6, 18),
        "Stop the campaigns whose return is below two",
    ),
    _Idea(
        "Ask satisfied buyers for a review",
        "Ask for a review five days after delivery, once and politely.",
        "Listings with more than fifty reviews convert half as well again.",
        "Use the channel's own message, and leave out orders that came late.",
        "reviews per week",
        (2, 7),
        "Turn on the request for a review five days after delivery",
    ),
    _Idea(
        "Cut the reasons for returns",
        "Correct sizes, colours and expectations on the ten listings with most returns.",
        "A return costs the shipping twice and often the product.",
        "Read the last hundred reasons, add a size table and one honest picture each.",
        "return rate",
        (3, 8),
        "Read the last hundred reasons for returns and group them",
    ),
)

_PRIORITIES = ("high", "medium", "low")


def plan(channel: str, purpose: str, random: Random) -> dict[str, Any]:
    """Return a plan for a channel; for the purpose `phase1`, its first phase and no more."""
    name, fact = _CHANNELS.get(channel, (channel, "little is known about it yet"))
    ideas = random.sample(_IDEAS, k=random.randint(3, 5))
    first = _phase(1, "Quick wins", "1-2", ideas[:3], random)
    if purpose == "phase1":
        return {"summary": f"First steps on {name}.", "channels": [channel], "phases": [first]}
    phases = [first, _phase(2, "What worked, on more products", "3-6", ideas[1:], random)]
    if random.choice((True, False)):
        phases.append(_phase(3, "Make it routine", "7-12", ideas[-2:], random))
    return {
        "summary": f"On {name}, {fact}. {len(ideas)} opportunities stand out; the first pays back within two weeks.",
        "channels": [channel],
        "opportunities": [
            {
                "title": idea.title,
                "what": idea.what,
                "why": idea.why,
                "how": idea.how,
                "priority": _PRIORITIES[min(position // 2, 2)],
                "agent": channel,
                "expectedImpact": _gain(idea, random),
                "metric": idea.metric,
            }
            for position, idea in enumerate(ideas)
        ],
        "phases": phases,
        "metrics": [
            {
                "label": idea.metric.capitalize(),
                "baseline": "as of today",
                "goal": _gain(idea, random),
                "phase": position + 1,
            }
            for position, idea in enumerate(ideas[:2])
        ],
    }


def badly_written(data: dict[str, Any], variant: str) -> str:
    """Return a plan as text, in one of the ways in which language models get it wrong (`VARIANTS["malformed"]`)."""
    if variant == "prose":
        return f"Sure, here is the plan you asked for:\n\n```json\n{json.dumps(data, indent=2)}\n```\n\nShall I go on?"
    if variant == "truncated":
        text = json.dumps(data)
        return text[: len(text) * 2 // 3]
    if variant == "wrong_schema":
        return json.dumps({"analysis": data["summary"], "ideas": [1, 2, 3]})
    if variant == "no_json":
        return "I am sorry, but I need more information about your catalogue before I can help."
    return json.dumps(_WRONG_FIELDS[variant](data))


def _without_phase_numbers(data: dict[str, Any]) -> dict[str, Any]:
    phases = [{field: value for field, value in phase.items() if field != "number"} for phase in data["phases"]]
    return data | {"phases": phases}


def _with_numbers_as_text(data: dict[str, Any]) -> dict[str, Any]:
    phases = [phase | {"number": f"Phase {phase['number']}", "weeks": 2} for phase in data["phases"]]
    return data | {"phases": phases}


def _with_portuguese_priorities(data: dict[str, Any]) -> dict[str, Any]:
    words = cycle(("Alta", "média", "baixa", "urgente"))
    return data | {"opportunities": [o | {"priority": next(words)} for o in data.get("opportunities", ())]}


def _with_empty_lists(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"opportunities": [], "phases": [], "metrics": None}


_WRONG_FIELDS = {
    "missing_phase_numbers": _without_phase_numbers,
    "numbers_as_text": _with_numbers_as_text,
    "portuguese_priorities": _with_portuguese_priorities,
    "empty_lists": _with_empty_lists,
}


def _phase(number: int, name: str, weeks: str, ideas: list[_Idea], random: Random) -> dict[str, Any]:
    return {
        "number": number,
        "name": name,
        "weeks": weeks,
        "tasks": [idea.task for idea in ideas],
        "investment": f"{random.randint(4, 24)} hours of work",
        "expectedImpact": _gain(ideas[0], random),
    }


def _gain(idea: _Idea, random: Random) -> str:
    return f"{random.randint(*idea.gain)} % better {idea.metric}"
