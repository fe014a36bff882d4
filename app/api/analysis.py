"""Analyses asked for, plans brought in, decided and recovered."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal, Self
from uuid import UUID

from apiflask import APIBlueprint
from pydantic import Field, ValidationInfo, field_validator

from app.analyses import RequestedAnalysis
from app.api.access import caller
from app.api.bodies import read_form
from app.api.observation import answer_by, request_id
from app.api.operation import operation
from app.api.shapes import Answer, Channels, Id, JsonObject, Line, LongText, Question, Reason
from app.api.wiring import runtime
from app.approval import Approval
from app.domain.controls import Mode
from app.domain.jobs import JobStatus
from app.domain.roles import Role
from app.recovery import RecoveryAction
from app.uploads import extract_text

analysis = APIBlueprint("analysis", __name__, url_prefix="/api/marketplace/analysis")


class AnalysisRequest(Question):
    """What the agents of these channels are asked about."""

    title: Line | None = None
    channels: Channels
    context: LongText | None = None


class UploadForm(Question):
    """A file whose text is the context; `channels` is repeated for each channel."""

    file: Annotated[bytes, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
    channels: Channels
    title: Line | None = None


class PlanImport(Question):
    """A ready plan; what is malformed in its phases is mended and noted."""

    title: Line
    channels: Channels
    plan_data: JsonObject


class DecisionRequest(Question):
    """What a person decides; a rejection needs a reason."""

    action: Literal["approve", "reject"]
    reason: Annotated[Reason | None, Field(validate_default=True)] = None

    @field_validator("reason")
    @classmethod
    def _explains(cls, reason: str | None, info: ValidationInfo) -> str | None:
        if reason is None and info.data.get("action") == "reject":
            raise ValueError("is needed to reject a plan")
        return reason


class RecoverRequest(Question):
    """Which plans to recover; without `planIds` those that are stuck."""

    plan_ids: Annotated[list[Id], Field(min_length=1, max_length=100)] | None = None


class RequestAccepted(Answer):
    """The analysis runs as a job: poll `pollUrl`."""

    plan_id: UUID
    job_id: UUID
    poll_url: str

    @classmethod
    def of(cls, requested: RequestedAnalysis) -> Self:
        """Return the answer to a request for an analysis."""
        return cls(plan_id=requested.plan_id, job_id=requested.job_id, poll_url=_poll_url(requested.job_id))


class PlanImported(Answer):
    """The plan awaits approval."""

    plan_id: UUID


class PlanApproved(Answer):
    """The one job that makes the plan's tasks, however often the plan is approved: poll `pollUrl`.

    `mode` is `sync` when its last attempt runs, or ran, in place.
    """

    status: JobStatus
    job_id: UUID
    poll_url: str
    mode: Mode

    @classmethod
    def of(cls, approval: Approval, **details: list[UUID]) -> Self:
        """Return the answer to an approval."""
        return cls(
            status=approval.job_status,
            job_id=approval.job_id,
            poll_url=_poll_url(approval.job_id),
            mode=approval.mode,
            **details,
        )


class PlanDone(PlanApproved):
    """The job of an approved plan has ended: `completed` with its tasks, or `failed` without any."""

    task_ids: list[UUID]


class PlanRejected(Answer):
    """The plan is rejected."""

    status: Literal["rejected"]
    plan_id: UUID


class RecoveredPlan(Answer):
    """What was done for one plan."""

    plan_id: UUID
    action: RecoveryAction
    job_id: UUID | None


class Recovered(Answer):
    """What was done for each plan."""

    plans: list[RecoveredPlan]


@operation(analysis, "POST", "", access=Role.APPROVER, body=AnalysisRequest, answers={202: RequestAccepted})
def request_analysis(body: AnalysisRequest) -> RequestAccepted:
    """Ask the agents of one or more channels for an analysis."""
    return RequestAccepted.of(
        runtime().analyses.request(
            title=body.title,
            channels=body.channels,
            context=body.context,
            origin="analysis",
            by=caller(),
            request_id=request_id(),
        )
    )


@operation(analysis, "POST", "/upload", access=Role.APPROVER, form=UploadForm, answers={202: RequestAccepted})
def upload_analysis() -> RequestAccepted:
    """Ask for an analysis with the text of a file (txt, md, csv, json, pdf) as its context."""
    file_name, form = read_form(
        UploadForm, max_file_bytes=runtime().settings.web.max_upload_bytes, repeated=frozenset({"channels"})
    )
    return RequestAccepted.of(
        runtime().analyses.request(
            title=form.title,
            channels=form.channels,
            context=extract_text(file_name, form.file),
            origin="upload",
            by=caller(),
            request_id=request_id(),
        )
    )


@operation(analysis, "POST", "/import", access=Role.APPROVER, body=PlanImport, answers={201: PlanImported})
def import_plan(body: PlanImport) -> PlanImported:
    """Bring in a ready plan, to be approved."""
    return PlanImported(
        plan_id=runtime().analyses.import_plan(
            title=body.title,
            channels=body.channels,
            plan_data=body.plan_data,
            by=caller(),
            request_id=request_id(),
        )
    )


@operation(
    analysis,
    "PATCH",
    "/<plan_id>",
    access=Role.APPROVER,
    body=DecisionRequest,
    answers={202: PlanApproved, 200: PlanDone | PlanRejected},
    own_problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def decide_plan(plan_id: UUID, body: DecisionRequest) -> tuple[PlanApproved | PlanRejected, HTTPStatus]:
    """Approve a plan, which creates its job, or reject it.

    Approving again answers the same job, with 200 when it has ended. A plan that was decided the other way is a
    conflict. In `sync` mode, and when Redis does not answer, the job runs in place, and may have ended by the answer.
    """
    approvals = runtime().approvals
    if body.action == "reject":
        approvals.reject(plan_id, by=caller(), reason=body.reason or "", request_id=request_id())
        return PlanRejected(status="rejected", plan_id=plan_id), HTTPStatus.OK
    approval = approvals.approve(
        plan_id,
        by=caller(),
        request_id=request_id(),
        reason=body.reason,
        answer_by=answer_by(runtime().settings.web.in_place_wait_seconds),
    )
    if approval.ended:
        return PlanDone.of(approval, task_ids=list(approval.task_ids)), HTTPStatus.OK
    return PlanApproved.of(approval), HTTPStatus.ACCEPTED


@operation(analysis, "POST", "/recover", access=Role.ADMIN, body=RecoverRequest, answers={200: Recovered})
def recover_plans(body: RecoverRequest) -> Recovered:
    """Bring stuck plans back on their way now, and tell what was done for each."""
    done = runtime().recovery.recover(body.plan_ids, by=caller(), request_id=request_id())
    return Recovered(
        plans=[RecoveredPlan(plan_id=plan.plan_id, action=plan.action, job_id=plan.job_id) for plan in done]
    )


def _poll_url(job_id: UUID) -> str:
    return f"/api/marketplace/jobs/{job_id}"
