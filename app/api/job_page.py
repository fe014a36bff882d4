"""The page of a job, as messages link to it: public, so all that it knows of the job is its id, and what to type."""

from __future__ import annotations

from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response

from app.api.html_pages import html_page
from app.api.operation import operation
from app.domain.alerts import DEAD_LETTERS_GROWING, STUCK_PLANS
from app.domain.errors import InvalidInputError, NotFoundError
from app.domain.identifiers import parse_id

job_page = APIBlueprint("job_page", __name__, url_prefix="/jobs", tag="Jobs")

#: What a message with a link to a job is most often about.
_RUNBOOKS = (DEAD_LETTERS_GROWING.name, STUCK_PLANS.name)


@operation(
    job_page,
    "GET",
    "/<job_id>",
    access="public",
    answers={200: ("text/html",)},
    own_problems=(HTTPStatus.NOT_FOUND,),
)
def show_job_page(job_id: str) -> Response:
    """Show how to look at a job, and nothing of the job itself; whether there is one is not told either."""
    try:
        found = parse_id("jobId", job_id)
    except InvalidInputError:
        # For whoever follows a link that was cut off there is no such page; no field of theirs is wrong.
        raise NotFoundError("there is no job of this id") from None
    return html_page("job.html", job_id=found, runbooks=_RUNBOOKS)
