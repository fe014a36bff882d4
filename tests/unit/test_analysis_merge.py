from __future__ import annotations

from app.agent_round import ChannelAnswer
from app.analysis_job import merge, notes_of
from app.domain.errors import CircuitOpenError, NetworkError
from app.domain.plan import AnalysisPlan, Opportunity, Phase, PlanMetric

AMAZON = AnalysisPlan(
    summary="Good titles",
    opportunities=(Opportunity(title="Photos", agent="someone else"),),
    phases=(Phase(number=2, name="Grow", tasks=("Ads",)), Phase(number=1, name="Start", tasks=("Titles",))),
    metrics=(PlanMetric(label="Sales"),),
)
SHOPEE = AnalysisPlan(summary="Few photos", phases=(Phase(number=1, name="Begin", tasks=("Photos",)),))


def test_several_channels_become_one_plan_that_names_them() -> None:
    plan = merge([ChannelAnswer("amazon", "agent", AMAZON), ChannelAnswer("shopee", "agent", SHOPEE)])
    assert plan.summary == "amazon: Good titles\nshopee: Few photos"
    assert plan.channels == ("amazon", "shopee")
    assert [(phase.number, phase.name, phase.tasks) for phase in plan.phases] == [
        (1, "Start", ("amazon: Titles", "shopee: Photos")),
        (2, "Grow", ("amazon: Ads",)),
    ]
    assert [metric.label for metric in plan.metrics] == ["Sales"]


def test_an_opportunity_belongs_to_the_channel_whose_agent_named_it() -> None:
    plan = merge([ChannelAnswer("amazon", "agent", AMAZON)])
    assert [opportunity.agent for opportunity in plan.opportunities] == ["amazon"]


def test_one_answering_channel_keeps_its_words() -> None:
    failed = ChannelAnswer("shopee", "empty", error=NetworkError("reset"))
    plan = merge([ChannelAnswer("amazon", "agent", AMAZON), failed])
    assert plan.summary == "Good titles"
    assert plan.phases[0].tasks == ("Titles",)


def test_the_notes_tell_which_agents_failed_and_what_was_mended() -> None:
    notes = notes_of(
        [
            ChannelAnswer("amazon", "agent", AMAZON, notes=("phases.0.number: missing, numbered 1",)),
            ChannelAnswer("shopee", "empty", error=NetworkError("reset")),
            ChannelAnswer("shein", "cache", SHOPEE, error=NetworkError("reset"), age_seconds=7300),
            ChannelAnswer("kaway", "empty", error=CircuitOpenError("open")),
        ]
    )
    assert notes == [
        "amazon: phases.0.number: missing, numbered 1",
        "shopee: the agent failed (network); this channel is empty",
        "shein: the agent failed (network); its last good answer is used, 2h old",
        "kaway: the agent was not asked, its circuit is open; this channel is empty",
    ]
