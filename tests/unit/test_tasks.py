from __future__ import annotations

from uuid import UUID

from app.domain.plan import AnalysisPlan, Opportunity, Phase, Priority
from app.domain.tasks import minimal_tasks, task_id, tasks_of_opportunities, tasks_of_phase

PLAN = UUID("00000000-0000-4000-8000-000000000001")


def test_each_different_task_of_a_phase_becomes_one_task_in_its_order() -> None:
    phase = Phase(number=1, name="Start", tasks=("Fix  titles", "Add photos", "fix titles"))
    tasks = tasks_of_phase(phase, ["amazon"])
    assert [(task.title, task.channel, task.description) for task in tasks] == [
        ("Fix  titles", "amazon", "Start"),
        ("Add photos", "amazon", "Start"),
    ]


def test_the_same_text_for_two_channels_is_two_tasks() -> None:
    phase = Phase(number=1, tasks=("Fix titles",))
    keys = {tasks_of_phase(phase, [channel])[0].item_key for channel in ("amazon", "shopee")}
    assert len(keys) == 2


def test_a_task_has_the_same_id_whoever_writes_it() -> None:
    assert task_id(PLAN, "key") == task_id(PLAN, "key")
    assert task_id(PLAN, "key") != task_id(PLAN, "other")


def test_the_five_most_important_opportunities_become_tasks() -> None:
    priorities = [Priority.LOW, Priority.HIGH, Priority.MEDIUM, Priority.HIGH, Priority.LOW, Priority.MEDIUM]
    opportunities = [Opportunity(title=f"O{n}", priority=priority) for n, priority in enumerate(priorities)]
    assert [task.title for task in tasks_of_opportunities(opportunities, [])] == ["O1", "O3", "O2", "O5", "O0"]


def test_an_opportunity_named_twice_is_one_task_with_what_and_how() -> None:
    opportunity = Opportunity(title="Photos", what="Add five", how="Hire Ana", agent="amazon")
    (task,) = tasks_of_opportunities([opportunity, opportunity], ["amazon"])
    assert (task.description, task.channel) == ("Add five\n\nHire Ana", "amazon")


def test_an_opportunity_of_an_agent_outside_the_plan_has_no_channel() -> None:
    (task,) = tasks_of_opportunities([Opportunity(title="Photos", agent="ebay")], ["amazon"])
    assert task.channel is None


def test_a_plan_with_nothing_in_it_gives_one_task_per_channel_for_review() -> None:
    tasks = minimal_tasks(AnalysisPlan(summary="Empty"), ["amazon", "shopee"])
    assert [(task.channel, task.needs_review) for task in tasks] == [("amazon", True), ("shopee", True)]
    assert len({task.item_key for task in tasks}) == 2
