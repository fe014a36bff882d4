"""Secrets that the chart makes: in the form that their readers want, once, and kept."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from alerting.relay import check_settings
from app.domain.token_form import is_token
from app.settings import RelaySettings
from deploy.tools.places import Major
from tests.chart.helm_cli import MAJORS
from tests.chart.manifest_files import Object, volumes
from tests.chart.rendering import render


def _secret(name: str, **options: Any) -> tuple[Object, dict[str, str]]:
    found = render(**options).one("Secret", f"demo-marketplace-{name}")
    return found, {key: base64.b64decode(value).decode("ascii") for key, value in found["data"].items()}


@pytest.mark.parametrize("helm", MAJORS)
def test_the_admin_token_is_one_that_the_api_takes(helm: Major) -> None:
    assert is_token(_secret("auth", helm=helm)[1]["admin-token"])


@pytest.mark.parametrize("helm", MAJORS)
def test_the_relay_takes_its_secrets(helm: Major) -> None:
    given = _secret("auth", helm=helm)[1]
    settings = {"events_secret": given["relay-events-secret"], "alertmanager_token": given["alertmanager-token"]}
    check_settings(RelaySettings.model_validate(settings))


@pytest.mark.parametrize("name", ["valkey", "postgresql", "grafana"])
def test_passwords_are_32_random_bytes(name: str) -> None:
    first, other = (_secret(name, set=[f"commonLabels.n=a{n}"])[1]["password"] for n in "12")
    assert (len(first), len(other), first == other) == (43, 43, False)


@pytest.mark.parametrize("name", ["auth", "valkey", "postgresql", "grafana"])
def test_they_outlive_the_release(name: str) -> None:
    assert _secret(name)[0]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_nothing_is_made_where_a_secret_exists() -> None:
    given = {name: {"existingSecret": f"my-{name}"} for name in ("auth", "valkey", "postgresql", "grafana")}
    found = render(given)
    assert found.of("Secret") == ()
    web = volumes(found.one("Deployment", "demo-marketplace-web"))
    assert {name: web[name]["secret"]["secretName"] for name in ("auth", "redis", "database")} == {
        "auth": "my-auth",
        "redis": "my-valkey",
        "database": "my-postgresql",
    }


def test_keys_of_a_secret_that_exists_can_have_other_names() -> None:
    auth = {"existingSecret": "s", "adminTokenKey": "admin", "eventsSecretKey": "events"}
    items = volumes(render({"auth": auth}).one("Deployment", "demo-marketplace-web"))["auth"]["secret"]["items"]
    assert items == [{"key": "admin", "path": "admin-token"}, {"key": "events", "path": "relay-events-secret"}]
