"""Fixtures: what becomes a message, as a JSON file, from which the message is drawn without sending it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from alerting.intake.alertmanager_webhook import read_webhook
from alerting.intake.notices import notice_signal
from alerting.messages.advice import advice_on
from alerting.messages.cards import Card, Links, MessageKind, make_card
from alerting.messages.payloads import card_payload, digest_payload
from alerting.signals import CATALOGUE, Signal
from app.domain.alerts import Severity
from app.domain.errors import InvalidInputError
from app.domain.notices import Notice
from app.domain.strict_json import read_json

_Model = TypeVar("_Model", bound=BaseModel)

#: A signal that something ended does not say when it began; its message is drawn as if it had lasted so long.
_LASTED = timedelta(minutes=2)


class CardFixture(Card):
    """A card; what the catalogue says of its alert may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""

    def completed(self) -> Card:
        """Return it with what was left out."""
        advice = advice_on(self.alert, self.title)
        ended = self.kind is MessageKind.RECOVERY
        said = {"action": "" if ended else advice.action, "advice": advice.after if ended else advice.advice}
        if self.ended_at:
            said["title"] = advice.recovery_title(self.subject, self.ended_at - self.started_at)
        return self.model_copy(update={name: text for name, text in said.items() if name not in self.model_fields_set})


class DigestFixture(BaseModel):
    """What one digest is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cards: tuple[CardFixture, ...]
    counts: dict[Severity, int]
    since: AwareDatetime


def example_names() -> list[str]:
    """Return the names of the fixtures that come with the product."""
    return sorted(file.name.removesuffix(".json") for file in files("alerting.render").joinpath("examples").iterdir())


def example(name: str) -> bytes:
    """Return one of them."""
    return files("alerting.render").joinpath("examples", f"{name}.json").read_bytes()


def fixture_payloads(data: bytes, *, mentions: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the messages that Slack would be sent: one, or one for each alert of a request of Alertmanager.

    Raises:
        InvalidInputError: The fixture is none; the field is the place that is wrong.
    """
    document = read_json(data, place="FIXTURE")
    if isinstance(document, dict) and "alerts" in document:
        webhook = read_webhook(data, environment="none", now=datetime.now(UTC))
        if webhook.faults:
            raise webhook.faults[0]
        return [card_payload(_card(signal), mentions=mentions) for signal in webhook.signals]
    return [_fixture_payload(document, mentions)]


def _fixture_payload(document: object, mentions: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidInputError("FIXTURE", "must be a JSON object")
    if "cards" in document:
        digest = _read(DigestFixture, document)
        cards = [card.completed() for card in digest.cards]
        counts = {str(severity): count for severity, count in digest.counts.items()}
        return digest_payload(cards, counts=counts, since=digest.since, mentions=mentions)
    if "kind" in document:
        return card_payload(_read(CardFixture, document).completed(), mentions=mentions)
    if "state" in document:
        notice = _read(Notice, document)
        if notice.alert not in CATALOGUE:
            raise InvalidInputError("alert", f"{notice.alert!r} is not in the catalogue")
        return card_payload(_card(notice_signal(notice)), mentions=mentions)
    kinds = "`kind` (a card), `cards` (a digest), `state` (a notice) or `alerts` (a request of Alertmanager)"
    raise InvalidInputError("FIXTURE", f"must have {kinds}")


def _read(model: type[_Model], document: Mapping[str, Any]) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(place or "FIXTURE", first["msg"]) from error


def _card(signal: Signal) -> Card:
    return make_card(
        signal,
        MessageKind.FIRING if signal.firing else MessageKind.RECOVERY,
        severity=signal.severity,
        started_at=signal.at if signal.firing else signal.at - _LASTED,
        links=Links(runbook=signal.runbook_url, dashboard=signal.dashboard_url),
    )
