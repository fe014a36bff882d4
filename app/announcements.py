"""First hints of new jobs: sent after the commit, best effort (docs/reference/job-protocol.md, T1b)."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.domain.errors import RedisUnavailableError
from app.domain.jobs import QUEUES, JobKind
from app.job_queue.hints import HintQueue
from app.live_metrics import LiveMetrics
from app.metrics import HINTS_SENT

_log = structlog.stdlib.get_logger(__name__)


class Announcer:
    """Tells the workers of a new job at once; give it a queue with the fail-fast client."""

    def __init__(self, hints: HintQueue, metrics: LiveMetrics) -> None:
        self._hints = hints
        self._metrics = metrics

    def announce(self, kind: JobKind, job_id: UUID) -> bool:
        """Send the hint, once; a failure is told and counted and no more, for the sweeper sends it again."""
        try:
            self._hints.send(QUEUES[kind], job_id)
        except RedisUnavailableError as error:
            self._metrics.count(HINTS_SENT, sender="web", outcome="failed")
            _log.warning("hint_not_sent", job_id=str(job_id), reason=str(error))
            return False
        self._metrics.count(HINTS_SENT, sender="web", outcome="sent")
        return True
