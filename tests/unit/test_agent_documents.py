"""What the pages about agents show must work as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.agents.configuration import load_agents
from app.agents.http_protocol import body_of, read_answer
from app.agents.question import Question
from app.domain.plan_reading import read_plan
from app.settings import AgentsSettings
from loadtest.agent_behaviours import AGENTS, MODES, VARIANTS, Behaviour

_DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (_DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_plan_that_is_shown_needs_no_repair() -> None:
    (shown,) = _blocks("reference/plan.md", "json")
    reading = read_plan(json.loads(shown))
    assert reading.notes == ()
    assert reading.plan.model_dump(mode="json", by_alias=True) == json.loads(shown)


def test_the_request_that_is_shown_is_the_one_that_is_sent(tmp_path: Path) -> None:
    request, _ = _blocks("reference/agent-protocol.md", "json")
    question = Question("analysis", "amazon", "Shoes, autumn", "Sales fell in May.", None)
    (tmp_path / "agents.yaml").write_text('[{name: a, channel: amazon, url: "http://a.example", protocol: http}]')
    (config,) = load_agents(AgentsSettings(file=tmp_path / "agents.yaml"))
    assert body_of(config, question) == json.loads(request)


def test_the_answer_that_is_shown_can_be_read() -> None:
    _, answer = _blocks("reference/agent-protocol.md", "json")
    assert read_answer(answer.encode()).notes == ()


def test_the_list_of_agents_that_is_shown_is_valid(tmp_path: Path) -> None:
    (shown,) = _blocks("howto/connect-agents.md", "yaml")
    key = tmp_path / "key"
    key.write_text("sk-file\n")
    (tmp_path / "agents.yaml").write_text(shown.replace("/run/secrets/shein", str(key)))
    agents = load_agents(AgentsSettings(file=tmp_path / "agents.yaml"), {"OPENAI_API_KEY": "sk-environment"})
    keys = [agent.api_key and agent.api_key.get_secret_value() for agent in agents]
    assert keys == ["sk-environment", None, "sk-file"]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(AGENTS, id="agents"),
        pytest.param(MODES, id="modes"),
        pytest.param([variant for variants in VARIANTS.values() for variant in variants], id="variants"),
        pytest.param(Behaviour().as_json(), id="fields"),
    ],
)
def test_the_page_about_fake_agents_is_complete(names: list[str]) -> None:
    page = (_DOCS / "reference/fake-agents.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []
