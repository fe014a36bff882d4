"""Messages that lead to no job: each ends as a dead letter, and the queue goes on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from app.domain.dead_letters import MessageFault
from app.domain.errors import DatabaseUnavailableError, RedisUnavailableError
from app.job_queue.hint_messages import MAX_BYTES, BadMessage, Delivery
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.metrics import DEAD_MESSAGES
from app.storage.database import Database
from app.storage.dead_letters import archive_message
from app.storage.jobs import job_exists

_log = structlog.stdlib.get_logger(__name__)


class DeadMessages:
    """Archives messages in the database; while it is away they wait in Redis, in the hash `<queue>.XQ`.

    A letter gets its id where the message is met, so that archiving it twice writes one.
    """

    def __init__(self, database: Database, hints: HintQueue, metrics: LiveMetrics) -> None:
        self._database = database
        self._hints = hints
        self._metrics = metrics

    def bury(self, delivery: Delivery, bad: BadMessage) -> None:
        """Archive a message; when neither database nor Redis can take it, the log is all that is left of it."""
        letter = _Letter(delivery.queue, bad.fault, bad.text, delivery.body[:MAX_BYTES])
        letter_id = uuid4()
        self._metrics.count(DEAD_MESSAGES, reason=bad.fault)
        _log.error("message_led_to_no_job", queue=delivery.queue, reason=bad.fault, letter_id=str(letter_id))
        try:
            self._archive(letter_id, letter)
        except DatabaseUnavailableError:
            try:
                self._hints.set_aside(delivery.queue, letter_id, letter.encoded())
            except RedisUnavailableError as error:
                _log.error("message_not_archived", letter_id=str(letter_id), text=letter.text, reason=str(error))

    def bury_if_unknown(self, delivery: Delivery, job_id: UUID) -> bool:
        """Archive a message whose job is not in the database; tell whether that was so.

        Raises:
            DatabaseUnavailableError: It is not known whether it was.
        """
        with self._database.read() as connection:
            if job_exists(connection, job_id):
                return False
        self.bury(delivery, BadMessage(MessageFault.UNKNOWN_JOB, f"there is no job {job_id}"))
        return True

    def collect(self, queues: Iterable[str]) -> int:
        """Archive what was set aside of these queues (T8d), then remove it; return how many letters.

        Raises:
            RedisUnavailableError: What is left is collected the next time.
            DatabaseUnavailableError: The same.
        """
        collected = 0
        for queue in queues:
            for letter_id, encoded in self._hints.set_aside_in(queue):
                self._archive(letter_id, _Letter.decoded(queue, encoded))
                self._hints.forget(queue, letter_id)
                collected += 1
        return collected

    def _archive(self, letter_id: UUID, letter: _Letter) -> None:
        with self._database.write() as connection:
            archive_message(
                self._database,
                connection,
                letter_id,
                queue=letter.queue,
                reason=letter.reason,
                message=letter.text,
                body=letter.body,
            )


@dataclass(frozen=True)
class _Letter:
    queue: str
    reason: str
    text: str
    body: bytes

    def encoded(self) -> bytes:
        body = base64.b64encode(self.body).decode("ascii")
        return json.dumps({"reason": self.reason, "text": self.text, "base64": body}).encode()

    @classmethod
    def decoded(cls, queue: str, encoded: bytes) -> _Letter:
        fields = json.loads(encoded)
        return cls(queue, fields["reason"], fields["text"], base64.b64decode(fields["base64"]))
