"""The simulated agents and the simulated Slack of a trial, and further objects of the release."""

from __future__ import annotations

import sys
from textwrap import dedent
from types import ModuleType

import pytest
import yaml

from deploy.local.agents_program import CHANNELS
from loadtest import fake_agents, fake_slack
from tests.chart.manifest_files import container, env, pod_spec
from tests.chart.rendering import refused, render

_DEMO = {"demo": {"enabled": True}}
_NAMES = ("demo-marketplace-demo-agents", "demo-marketplace-demo-slack")
_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {"a": "b"}}


def test_a_release_has_no_simulations_unless_told() -> None:
    rendered = render()
    assert not any("demo-agents" in name or "demo-slack" in name for name in rendered.names("Deployment"))
    assert not rendered.has("ConfigMap", "demo-marketplace-agents")


@pytest.mark.parametrize("name", _NAMES)
def test_a_simulation_runs_from_the_products_own_image_as_restricted_as_it(name: str) -> None:
    rendered = render(_DEMO)
    simulation, web = rendered.one("Deployment", name), rendered.one("Deployment", "demo-marketplace-web")
    assert container(simulation)["image"] == container(web)["image"]
    assert container(simulation)["securityContext"] == container(web)["securityContext"]
    assert pod_spec(simulation)["securityContext"] == pod_spec(web)["securityContext"]
    assert pod_spec(simulation)["automountServiceAccountToken"] is False
    service = rendered.one("Service", name)
    assert service["spec"]["selector"] == simulation["spec"]["selector"]["matchLabels"]
    assert service["spec"]["ports"][0]["port"] == container(simulation)["ports"][0]["containerPort"]


@pytest.mark.parametrize(("name", "program"), [(_NAMES[0], fake_agents), (_NAMES[1], fake_slack)])
def test_the_command_of_a_simulation_is_one_that_its_program_takes(
    name: str, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = container(render(_DEMO).one("Deployment", name))["command"]
    assert command[:5] == ["tini", "--", "python", "-m", program.__name__]
    port = str(container(render(_DEMO).one("Deployment", name))["ports"][0]["containerPort"])
    assert command[5:9] == ["--host", "0.0.0.0", "--port", port]
    served = []
    monkeypatch.setattr(sys, "argv", [program.__name__, "--port", "0", *command[9:]])
    monkeypatch.setattr(program, "serve_until_told", lambda server, _: served.append(server))
    program.main()
    assert len(served) == 1
    served[0].server_close()


def test_the_agents_of_a_trial_are_the_simulated_ones() -> None:
    rendered = render(_DEMO)
    agents = yaml.safe_load(rendered.one("ConfigMap", "demo-marketplace-agents")["data"]["agents.yaml"])
    assert [agent["channel"] for agent in agents] == list(CHANNELS)
    assert all(agent["url"].startswith("http://demo-marketplace-demo-agents.ops.svc:8100/") for agent in agents)


def test_the_messages_of_a_trial_go_to_the_simulated_slack_unless_there_is_a_real_one() -> None:
    relay = "demo-marketplace-relay"
    webhook = env(render(_DEMO).one("Deployment", relay))["MARKETPLACE_RELAY__SLACK_WEBHOOK_URL"]
    assert webhook.startswith("http://demo-marketplace-demo-slack.ops.svc:8201/services/")
    real = render({**_DEMO, "relay": {"slack": {"existingSecret": "slack"}}}).one("Deployment", relay)
    assert "MARKETPLACE_RELAY__SLACK_WEBHOOK_URL" not in env(real)


def test_the_agents_of_a_trial_can_misbehave() -> None:
    deployment = render({"demo": {"enabled": True, "personalities": "demo"}}).one("Deployment", _NAMES[0])
    assert container(deployment)["command"][-2:] == ["--personalities", "demo"]
    assert "personalities" in refused({"demo": {"personalities": "evil"}})


@pytest.mark.parametrize(
    "objects",
    [[_MAP], {"more": _MAP}, [yaml.safe_dump(_MAP)], {"more": yaml.safe_dump(_MAP)}],
    ids=["list", "map", "list of texts", "map of texts"],
)
def test_further_objects_are_templates_in_a_list_or_a_map(objects: object) -> None:
    assert render({"extraObjects": objects}).one("ConfigMap", "demo-more")["data"] == {"a": "b"}


def test_further_objects_can_use_the_helpers_of_the_chart() -> None:
    text = """
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata:
      name: {{ include "marketplace.fullname" . }}
    spec:
      rules:
        - backendRefs:
            - name: {{ include "marketplace.componentName" (dict "root" . "component" "web") }}
              port: {{ .Values.web.service.port }}
    """
    route = render({"extraObjects": [dedent(text)]}).one("HTTPRoute", "demo-marketplace")
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "demo-marketplace-web", "port": 8000}]
