from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.agents.configuration import AgentConfig, load_agents
from app.domain.errors import ConfigurationError
from app.settings import AgentsSettings

_SECRET = "sk-do-not-print"
_AMAZON: dict[str, Any] = {"name": "amazon", "channel": "amazon", "url": "https://llm.example/v1", "model": "small"}


def _items(*entries: object) -> AgentsSettings:
    return AgentsSettings(items=SecretStr(json.dumps(entries)))


def _problems(settings: AgentsSettings, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        load_agents(settings, environ or {})
    assert _SECRET not in str(error.value)
    return str(error.value).splitlines()


def test_nothing_configured_is_no_agent() -> None:
    assert load_agents(AgentsSettings()) == ()


def test_agents_are_read_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{_SECRET}\n")
    (tmp_path / "agents.yaml").write_text(
        f"""
agents:
  - name: amazon-analyst
    channel: amazon
    url: https://llm.example/v1
    model: small
    timeout_seconds: 60
    temperature: null
    api_key_env: AMAZON_KEY
  - name: shein
    channel: shein
    url: http://shein.internal:8000/analyse
    protocol: http
    api_key_file: {tmp_path / "key"}
"""
    )
    agents = load_agents(AgentsSettings(file=tmp_path / "agents.yaml"), {"AMAZON_KEY": _SECRET})
    assert agents == (
        AgentConfig(
            name="amazon-analyst",
            channel="amazon",
            url="https://llm.example/v1",
            model="small",
            timeout_seconds=60,
            temperature=None,
            api_key=SecretStr(_SECRET),
        ),
        AgentConfig(
            name="shein",
            channel="shein",
            url="http://shein.internal:8000/analyse",
            protocol="http",
            api_key=SecretStr(_SECRET),
        ),
    )


def test_agents_are_read_from_json() -> None:
    (agent,) = load_agents(_items(_AMAZON))
    assert (agent.protocol, agent.timeout_seconds, agent.api_key) == ("openai", None, None)


def test_no_secret_stands_in_the_text_of_a_configuration() -> None:
    (agent,) = load_agents(_items(_AMAZON | {"api_key": _SECRET}))
    assert _SECRET not in f"{agent!r} {agent} {agent.model_dump_json()}"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"name": None}, "agents.0.name: Input should be a valid string", id="name-null"),
        pytest.param({"name": "Ama zon"}, "agents.0.name: String should match pattern", id="name-pattern"),
        pytest.param({"channel": ""}, "agents.0.channel: String should match pattern", id="channel-empty"),
        pytest.param({"url": "ftp://x"}, "agents.0.url: must begin with http:// or https://", id="scheme"),
        pytest.param(
            {"url": f"https://me:{_SECRET}@llm.example"},
            "agents.0.url: must not have credentials in it",
            id="credentials-in-url",
        ),
        pytest.param({"protocol": "grpc"}, "agents.0.protocol: Input should be 'openai' or 'http'", id="protocol"),
        pytest.param({"model": None}, "agents.0: the openai protocol needs a model", id="no-model"),
        pytest.param({"timeout_seconds": 0.5}, "agents.0.timeout_seconds: Input should be greater", id="too-short"),
        pytest.param({"timeout_seconds": 121}, "agents.0.timeout_seconds: Input should be less", id="too-long"),
        pytest.param({"timeoutSeconds": 5}, "agents.0.timeoutSeconds: Extra inputs are not permitted", id="unknown"),
        pytest.param({"api_key": ""}, "agents.0.api_key: must be one word of printable ASCII", id="empty-key"),
        pytest.param({"api_key": f"{_SECRET}\nX: y"}, "agents.0.api_key: must be one word", id="line-break-in-key"),
        pytest.param({"api_key": [_SECRET]}, "agents.0.api_key: Input should be a valid string", id="key-a-list"),
        pytest.param({"api_key_env": "NOPE"}, "agents.0.api_key_env: there is no such variable", id="no-variable"),
        pytest.param(
            {"api_key_file": "/nowhere/key"},
            "agents.0.api_key_file: cannot be read (FileNotFoundError)",
            id="no-file",
        ),
        pytest.param(
            {"api_key": _SECRET, "api_key_env": "KEY"},
            "agents.0.api_key: is given by api_key and api_key_env; one is enough",
            id="two-keys",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(change: dict[str, object], problem: str) -> None:
    (line,) = _problems(_items(_AMAZON | change))
    assert line.startswith(problem)


def test_an_entry_that_is_no_object_is_refused() -> None:
    (line,) = _problems(_items("amazon"))
    assert line.startswith("agents.0: Input should be a valid dictionary")


def test_all_problems_are_told_at_once() -> None:
    lines = _problems(_items({"name": "A", "url": "x"}, {"nam": "b"}))
    places = sorted({line.partition(": ")[0] for line in lines})
    assert places == [
        *("agents.0.channel", "agents.0.name", "agents.0.url"),
        *("agents.1.channel", "agents.1.nam", "agents.1.name", "agents.1.url"),
    ]


def test_two_agents_cannot_have_one_name_or_one_channel() -> None:
    assert _problems(_items(_AMAZON, _AMAZON)) == [
        "agents: name amazon is used 2 times",
        "agents: channel amazon is used 2 times",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("agents: [", "agents: the file is not YAML, line 1", id="no-yaml"),
        pytest.param("- a: !!python/object:os.system x", "agents: the file is not YAML, line 1", id="python-object"),
        pytest.param("", "agents: must be a list, or an object with the one field agents", id="empty"),
        pytest.param("agents: 3", "agents: must be a list, or an object with the one field agents", id="number"),
        pytest.param("a: []", "agents: must be a list, or an object with the one field agents", id="another-field"),
    ],
)
def test_a_file_that_is_no_list_of_agents_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "agents.yaml").write_text(text)
    assert _problems(AgentsSettings(file=tmp_path / "agents.yaml")) == [problem]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    settings = AgentsSettings(file=tmp_path / "agents.yaml")
    assert _problems(settings) == ["agents: the file cannot be read (FileNotFoundError)"]


def test_items_that_are_not_json_are_refused() -> None:
    settings = AgentsSettings(items=SecretStr(f"[{_SECRET}"))
    assert _problems(settings) == ["agents: the items are not JSON"]


def test_a_file_and_items_together_are_refused(tmp_path: Path) -> None:
    settings = AgentsSettings(file=tmp_path / "agents.yaml", items=SecretStr("[]"))
    assert _problems(settings) == ["agents: give a file or items, not both"]
