from __future__ import annotations

import pytest
from pydantic import SecretStr

from alerting.slack.routes import Channel, Route, Webhook, routes_of
from app.settings import RelaySettings

_HOOK = "https://hooks.slack.com/services/T/B/S3CRET"
_OTHER = "https://hooks.slack.com/services/T/B/OTHER"
_TOKEN = "xoxb-S3CRET"


def _routes(**settings: object) -> dict[str, object]:
    return {route.name: route.destination for route in routes_of(RelaySettings.model_validate(settings))}


def test_equal_destinations_are_one_route() -> None:
    hook = Webhook(SecretStr(_HOOK))
    assert _routes(slack_webhook_url=_HOOK) == {"critical, warning, info": hook}
    assert _routes(slack_webhook_url=_HOOK, slack_webhook_url_warning=_HOOK, slack_webhook_url_info=_OTHER) == {
        "critical, warning": hook,
        "info": Webhook(SecretStr(_OTHER)),
    }


def test_without_a_destination_a_severity_is_only_logged() -> None:
    assert _routes() == {"critical, warning, info": None}
    assert _routes(slack_webhook_url_critical=_HOOK) == {"critical": Webhook(SecretStr(_HOOK)), "warning, info": None}


def test_a_bot_is_preferred_where_it_has_a_channel() -> None:
    def channel(name: str) -> Channel:
        return Channel("https://slack.com/api", SecretStr(_TOKEN), name)

    found = _routes(
        slack_bot_token=_TOKEN, slack_channel_critical="C1", slack_channel_info="C2", slack_webhook_url=_HOOK
    )
    assert found == {"critical": channel("C1"), "warning": Webhook(SecretStr(_HOOK)), "info": channel("C2")}


@pytest.mark.parametrize(
    "settings",
    [{"slack_webhook_url": _HOOK}, {"slack_bot_token": _TOKEN, "slack_channel": "C1"}],
    ids=["webhook", "bot"],
)
def test_neither_name_nor_key_nor_text_gives_the_destination_away(settings: dict[str, str]) -> None:
    [route] = routes_of(RelaySettings.model_validate(settings))
    assert "S3CRET" not in f"{route.name} {route.key} {route!r}"
    assert route.key != Route(None, route.severities).key


def test_a_new_token_keeps_the_route_and_another_channel_does_not() -> None:
    def key(token: str, channel: str) -> str:
        settings = {"slack_bot_token": token, "slack_channel": channel}
        return routes_of(RelaySettings.model_validate(settings))[0].key

    assert key("xoxb-a", "C1") == key("xoxb-b", "C1") != key("xoxb-a", "C2")
