"""The mode: how the Phase 1 jobs of approved plans are run."""

from __future__ import annotations

from apiflask import APIBlueprint

from app.api.access import caller
from app.api.observation import request_id
from app.api.operation import operation
from app.api.shapes import Answer, Question, Reason, UtcTime
from app.api.wiring import runtime
from app.domain.controls import Mode
from app.domain.roles import Role
from app.storage.controls import Control

mode = APIBlueprint("mode", __name__, url_prefix="/api/marketplace/mode")


class ModeRequest(Question):
    """The mode to change to, and why."""

    mode: Mode
    reason: Reason


class ModeAnswer(Answer):
    """The mode, and who changed to it, when and why; null when nobody ever has."""

    mode: Mode
    reason: str | None
    changed_at: UtcTime | None
    changed_by: str | None

    @classmethod
    def of(cls, found: Control) -> ModeAnswer:
        """Return the answer for the mode's switch."""
        return cls(
            mode=Mode(found.value), reason=found.reason, changed_at=found.changed_at, changed_by=found.changed_by
        )


@operation(mode, "GET", "", access=Role.VIEWER, answers={200: ModeAnswer})
def show_mode() -> ModeAnswer:
    """Tell how Phase 1 jobs are run: by workers (`queue`), or in place by the API (`sync`)."""
    return ModeAnswer.of(runtime().controls.mode())


@operation(mode, "PUT", "", access=Role.ADMIN, body=ModeRequest, answers={200: ModeAnswer})
def change_mode(body: ModeRequest) -> ModeAnswer:
    """Change how the Phase 1 jobs of plans that are approved from now on are run."""
    changed = runtime().controls.set_mode(body.mode, reason=body.reason, by=caller(), request_id=request_id())
    return ModeAnswer.of(changed)
