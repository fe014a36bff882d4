from __future__ import annotations

import os
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dotenv import dotenv_values
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.settings import COMMAND_NAMES, COMMON_NAMES, PREFIX, known_names, load_settings

_ROOT = Path(__file__).resolve().parents[2]
_DEVELOPMENT = _ROOT / ".env.example"
_PRODUCTION = _ROOT / ".env.production.example"

#: What a person has to fill in.
_SECRETS = {
    "DATABASE_URL": "postgresql://marketplace:secret@db.example:5432/marketplace?sslmode=verify-full",
    "REDIS_URL": "rediss://:token@redis.example:6379/0",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of ours."""
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in COMMON_NAMES:
            monkeypatch.delenv(name)
    return monkeypatch


def _block(path: str, language: str) -> str:
    """The first code block in this language on a page."""
    found = re.search(
        rf"^```{language}\n(.*?)^```", (_ROOT / path).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return textwrap.dedent(found[1])


@pytest.mark.parametrize("path", [_DEVELOPMENT, _PRODUCTION], ids=lambda path: path.name)
def test_every_name_in_an_example_is_a_setting(path: Path) -> None:
    settings = {*known_names(), *COMMON_NAMES, *COMMAND_NAMES}
    assert set(dotenv_values(path)) <= settings | {f"{name}_FILE" for name in settings}


@pytest.mark.parametrize("path", [_DEVELOPMENT, _PRODUCTION], ids=lambda path: path.name)
def test_a_filled_in_example_is_valid(path: Path, environment: pytest.MonkeyPatch) -> None:
    for name, value in (dotenv_values(path, interpolate=False) | _SECRETS).items():
        if value:
            environment.setenv(name, value)
    assert load_settings().redis.url.get_secret_value() == _SECRETS["REDIS_URL"]


@pytest.mark.parametrize("path", [_DEVELOPMENT, _PRODUCTION], ids=lambda path: path.name)
def test_an_example_gives_no_secret(path: Path) -> None:
    values = dotenv_values(path, interpolate=False)
    assert all(not values[name] for name in _SECRETS)


def test_the_receiver_of_the_howto_checks_signatures() -> None:
    names: dict[str, object] = {}
    exec(_block("docs/howto/webhooks.md", "python"), names)
    receive = names["receive"]
    assert callable(receive)
    secret, body = "whsec_" + "A" * 32, '{"type":"job:completed"}'
    signed = _signed(secret, body)
    assert receive(secret, body.encode(), signed) == {"type": "job:completed"}
    with pytest.raises(WebhookVerificationError):
        receive(secret, body.replace("completed", "failed").encode(), signed)


def _signed(secret: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "event",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("event", now, body),
    }
