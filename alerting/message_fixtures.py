"""Fixtures: a card, a digest or a notice as a JSON file, from which a message is drawn without sending it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from alerting.advice import advice_on
from alerting.cards import Card, Links, MessageKind, make_card
from alerting.signals import CATALOGUE, Path, Signal
from alerting.slack_payloads import card_payload, digest_payload
from app.domain.alerts import Severity
from app.domain.errors import InvalidInputError
from app.domain.notices import Notice, NoticeState
from app.domain.strict_json import read_json

_Model = TypeVar("_Model", bound=BaseModel)

#: A notice that something ended does not say when it began; its message is drawn as if it had lasted so long.
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
    return sorted(file.name.removesuffix(".json") for file in files("alerting").joinpath("examples").iterdir())


def example(name: str) -> bytes:
    """Return one of them."""
    return files("alerting").joinpath("examples", f"{name}.json").read_bytes()


def fixture_payload(data: bytes, *, mentions: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the message that Slack would be sent.

    Raises:
        InvalidInputError: The fixture is none; the field is the place that is wrong.
    """
    document = read_json(data, place="FIXTURE")
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
        return card_payload(_noticed(_read(Notice, document)), mentions=mentions)
    raise InvalidInputError("FIXTURE", "must have `kind` (a card), `cards` (a digest) or `state` (a notice)")


def _read(model: type[_Model], document: Mapping[str, Any]) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(place or "FIXTURE", first["msg"]) from error


def _noticed(notice: Notice) -> Card:
    entry = CATALOGUE.get(notice.alert)
    if entry is None:
        raise InvalidInputError("alert", f"{notice.alert!r} is not in the catalogue")
    ended = notice.state is NoticeState.RESOLVED
    signal = Signal(
        path=Path.PIPELINE,
        id=str(notice.id),
        fingerprint=notice.alert,
        alert=notice.alert,
        type=entry.type,
        severity=entry.severity,
        firing=not ended,
        at=notice.at,
        environment=notice.environment,
        subject=notice.subject,
        summary=notice.summary,
        plan_id=notice.plan_id,
        job_id=notice.job_id,
        agent=notice.agent,
        error_code=notice.error_code,
        error=notice.error,
        action=notice.action,
    )
    return make_card(
        signal,
        MessageKind.RECOVERY if ended else MessageKind.FIRING,
        severity=entry.severity,
        started_at=notice.at - _LASTED if ended else notice.at,
        links=Links(),
    )
