"""The OpenAPI document against the application: whatever is sent, the answer is one that the document lists.

Requests come from the document, by Hypothesis: sound ones, and ones that break its rules in any place.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api import Api
from tests.letters import archive_one

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

#: The library does not count 413 as a refusal.
REFUSALS = [400, 401, 403, 404, 409, 413, 415, 422]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})

WITH_INPUT = [
    "request_analysis",
    "upload_analysis",
    "import_plan",
    "decide_plan",
    "recover_plans",
    "list_plans",
    "show_plan",
    "list_jobs",
    "show_job",
    "list_tasks",
    "change_mode",
    "pause_queue",
    "resume_queue",
    "drain_queue",
    "archive_queues",
    "show_breaker",
    "open_breaker",
    "close_breaker",
    "reset_breaker",
    "create_webhook",
    "list_webhooks",
    "delete_webhook",
    "list_dead_letters",
    "show_dead_letter",
    "retry_dead_letter",
    "retry_dead_letters",
    "discard_dead_letter",
    "export_dead_letters",
    "show_runbook",
    "show_job_page",
]
WITHOUT_INPUT = [
    "show_index",
    "show_docs",
    "show_document",
    "show_runbooks",
    "tell_metrics",
    "tell_live",
    "tell_ready",
    "tell_redis",
    "tell_database",
    "tell_diagnosis",
    "show_mode",
    "show_queues",
    "list_breakers",
]


def operation_of(api: Api, operation_id: str) -> APIOperation[Any, Any, Any, Any]:
    """Return an operation of the application's own document."""
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", api.app, config=CONFIG)
    return document.find_operation_by_id(operation_id)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("operation_id", WITH_INPUT)
def test_every_answer_is_one_that_the_document_lists(api: Api, operation_id: str, mode: GenerationMode) -> None:
    operation = operation_of(api, operation_id)
    plan_id, job_id = api.approved()
    if "dead_letter" in operation_id:
        job_id = archive_one(api.runtime.database)
    known = {"planId": str(plan_id), "jobId": str(job_id), "agent": "amazon"}

    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            # No id that is drawn names anything.
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        case.call_and_validate(headers=api.headers(), checks=CHECKS)

    send()


@pytest.mark.parametrize("operation_id", WITHOUT_INPUT)
def test_what_takes_no_input_answers_as_the_document_lists(sqlite_api: Api, operation_id: str) -> None:
    case = operation_of(sqlite_api, operation_id).Case()
    case.call_and_validate(headers=sqlite_api.headers(), checks=CHECKS)


def test_no_operation_is_left_out(sqlite_api: Api) -> None:
    document = sqlite_api.get("/api/openapi.json", None).get_json()
    listed = [call["operationId"] for calls in document["paths"].values() for call in calls.values()]
    assert sorted(listed) == sorted(WITH_INPUT + WITHOUT_INPUT)
