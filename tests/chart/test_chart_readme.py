"""The table of values in the chart's README, and the list of settings that the chart knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from app.settings import known_names
from deploy.artifacts.chart_readme import CHART, chart_readme, chart_values, documented
from deploy.artifacts.chart_settings import chart_settings
from tests.chart.rendering import refused, render

_SCHEMA = {"properties": {"web": {"$ref": "#/definitions/role"}}, "definitions": {"role": {"properties": {}}}}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_the_readme_and_the_settings_are_as_generated() -> None:
    assert (CHART / "README.md").read_text(encoding="utf-8") == chart_readme()
    assert (CHART / "files" / "settings.json").read_text(encoding="utf-8") == chart_settings()


def test_every_value_has_one_line_in_the_table() -> None:
    told = [value.path for value in chart_values()]
    assert len(told) == len(set(told))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    untold = [leaf for leaf in _leaves(values) if not any(f"{leaf}.".startswith(f"{path}.") for path in told)]
    assert untold == []


def test_meanings_are_sentences() -> None:
    assert [
        value.path for value in chart_values() if not value.meaning[0].isupper() or value.meaning[-1] not in ".)"
    ] == []


def test_what_has_no_description_is_refused() -> None:
    schema = {"properties": {"web": {"properties": {"replicas": {"type": "integer"}}}}}
    with pytest.raises(ValueError, match=r"web\.replicas: has no description"):
        list(documented("web:\n  replicas: 2\n", schema))


def test_what_the_schema_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match=r"web\.replicas: values\.schema\.json does not know it"):
        list(documented("web:\n  # -- Pods.\n  replicas: 2\n", _SCHEMA))


def test_a_description_may_have_several_lines() -> None:
    schema = {"properties": {"size": {"enum": ["s", "l"]}}}
    (value,) = documented("# -- How big\n# it is.\nsize: s\n", schema)
    assert (value.kind, value.default, value.meaning) == ("`s` or `l`", "s", "How big it is.")


def test_what_belongs_to_other_values_names_settings_that_exist() -> None:
    text = (CHART / "templates" / "_validate.tpl").read_text(encoding="utf-8")
    named = {word.strip('"') for word in text.split() if word.startswith('"MARKETPLACE_')}
    assert len(named) > 20
    assert named <= known_names().keys()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MARKETPLACE_JOBS__MAX_RETRYS", "no such setting"),
        ("MARKETPLACE_REDIS__URL", "this one belongs to externalRedis"),
        ("MARKETPLACE_REDIS__PASSWORD_FILE", "this one belongs to externalRedis.existingSecret"),
        ("MARKETPLACE_RELAY__SLACK_WEBHOOK_URL_INFO", "a secret does not belong into values"),
    ],
)
def test_settings_that_cannot_stand_in_values_are_refused(name: str, words: str) -> None:
    assert f"settings.{name}: {words}" in refused({"settings": {name: "x"}})


def test_every_other_setting_is_taken() -> None:
    secrets = json.loads(chart_settings())
    plain = {
        name: "x" for name, is_secret in secrets.items() if name.startswith("MARKETPLACE_TIMEOUTS") and not is_secret
    }
    data = render({"settings": plain}).one("ConfigMap", "demo-marketplace-config")["data"]
    assert plain.items() <= data.items()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"agents": {"items": [{"name": "a", "channel": "b", "url": "http://a", "api_key": "s3"}]}},
            "items[0].api_key",
        ),
        (
            {"agents": {"items": [{"name": "a", "channel": "b", "url": "http://a"}], "existingSecret": "s"}},
            "agents.items",
        ),
        ({"relay": {"slack": {"existingSecret": "s", "botTokenKey": "bot"}}}, "relay.slack.channel"),
        ({"relay": {"slack": {"existingSecret": "s", "webhookUrlKey": ""}}}, "relay.slack.webhookUrlKey"),
        ({"relay": {"slack": {"botTokenKey": "bot"}}}, "relay.slack.existingSecret"),
        ({"worker": {"enabled": False, "keda": {"enabled": True}}}, "need worker.enabled"),
        ({"web": {"autoscaling": {"enabled": True, "minReplicas": 9}}}, "web.autoscaling.maxReplicas"),
        ({"prometheus": {"enabled": True}, "externalPrometheus": {"url": "http://p"}}, "externalPrometheus.url"),
    ],
    ids=["key", "two-lists", "channel", "no-key", "no-secret", "no-worker", "bounds", "two-prometheus"],
)
def test_values_that_cannot_work_together_are_refused_by_name(values: Mapping[str, Any], words: str) -> None:
    assert words in refused(values)
