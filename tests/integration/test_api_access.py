from __future__ import annotations

from datetime import timedelta

import pytest

from app.api.operation import operation_of
from app.domain.roles import Actor, Role
from tests.api import SETTER, Api, fields_of, problem_of

PLANS = "/api/marketplace/analysis"
UNKNOWN = "00000000-0000-4000-8000-000000000000"

#: What each role must not do. A viewer reads, an approver also asks and decides, an admin does everything.
REFUSED = [
    (Role.VIEWER, "POST", PLANS),
    (Role.VIEWER, "POST", f"{PLANS}/upload"),
    (Role.VIEWER, "POST", f"{PLANS}/import"),
    (Role.VIEWER, "PATCH", f"{PLANS}/{UNKNOWN}"),
    (Role.VIEWER, "POST", f"{PLANS}/recover"),
    (Role.VIEWER, "GET", "/api/marketplace/webhooks"),
    (Role.APPROVER, "POST", f"{PLANS}/recover"),
    (Role.APPROVER, "PUT", "/api/marketplace/mode"),
    (Role.APPROVER, "POST", "/api/marketplace/queue/pause"),
    (Role.APPROVER, "POST", "/api/marketplace/queue/resume"),
    (Role.APPROVER, "POST", "/api/marketplace/queue/drain"),
    (Role.APPROVER, "POST", "/api/marketplace/breakers/amazon/open"),
    (Role.APPROVER, "POST", "/api/marketplace/breakers/amazon/close"),
    (Role.APPROVER, "POST", "/api/marketplace/breakers/amazon/reset"),
    (Role.APPROVER, "GET", "/api/marketplace/webhooks"),
    (Role.APPROVER, "POST", "/api/marketplace/webhooks"),
    (Role.APPROVER, "DELETE", f"/api/marketplace/webhooks/{UNKNOWN}"),
]

PUBLIC = {
    "/",
    "/api/docs",
    "/api/openapi.json",
    "/api/metrics",
    "/api/health/live",
    "/api/health/ready",
    "/api/health/redis",
    "/api/health/database",
    "/runbooks",
    "/runbooks/<alert>",
    "/jobs/<job_id>",
}


def test_every_route_declares_who_may_call_it(sqlite_api: Api) -> None:
    undeclared = [
        rule.rule
        for rule in sqlite_api.app.url_map.iter_rules()
        if operation_of(sqlite_api.app.view_functions[rule.endpoint]) is None
    ]
    assert undeclared == []


def test_only_health_metrics_and_documentation_are_public(sqlite_api: Api) -> None:
    public = {
        rule.rule
        for rule in sqlite_api.app.url_map.iter_rules()
        if (operation := operation_of(sqlite_api.app.view_functions[rule.endpoint])) and operation.access == "public"
    }
    assert public == PUBLIC


def test_a_route_without_declaration_is_refused_even_to_an_admin(sqlite_api: Api) -> None:
    sqlite_api.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert sqlite_api.get("/forgotten", None).status_code == 401
    answer = sqlite_api.get("/forgotten", Role.ADMIN)
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "not_allowed")


def test_every_closed_route_asks_for_a_token(sqlite_api: Api) -> None:
    for rule in sqlite_api.app.url_map.iter_rules():
        if rule.rule in PUBLIC:
            continue
        path = rule.rule.replace("<plan_id>", "x").replace("<job_id>", "x").replace("<webhook_id>", "x")
        for method in (rule.methods or set()) - {"HEAD"}:
            answer = sqlite_api.call(method, path, None)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert fields_of(answer) == ["Authorization"]


@pytest.mark.parametrize(("role", "method", "path"), REFUSED)
def test_a_role_may_not_do_what_is_not_its_own(sqlite_api: Api, role: Role, method: str, path: str) -> None:
    before = sqlite_api.digest()
    answer = sqlite_api.call(method, path, role, json={})
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "not_allowed")
    assert role.value in problem_of(answer)["detail"]
    assert sqlite_api.digest() == before


def test_a_viewer_reads(api: Api) -> None:
    plan_id, job_id = api.approved()
    for path in (
        PLANS,
        f"{PLANS}/{plan_id}",
        "/api/marketplace/jobs",
        f"/api/marketplace/jobs/{job_id}",
        f"/api/marketplace/tasks?planId={plan_id}",
        "/api/marketplace/diagnostics",
        "/api/marketplace/breakers",
        "/api/marketplace/breakers/amazon",
    ):
        assert api.get(path, Role.VIEWER).status_code == 200, path


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer mp_short",
        "Bearer mp_" + "a" * 43,
        "Bearer mp_" + "é" * 43,
        "Bearer ' OR 1=1 --",
        "mp_" + "a" * 43,
        "Bearer " + "a" * 5000,
    ],
    ids=["empty", "bare", "blank", "basic", "short", "unknown", "not-ascii", "sql", "no-scheme", "long"],
)
def test_a_header_without_a_known_token_is_refused(sqlite_api: Api, header: str) -> None:
    answer = sqlite_api.client.get(PLANS, headers={"Authorization": header})
    assert (answer.status_code, problem_of(answer)["code"]) == (401, "not_authenticated")


def test_a_token_works_until_it_is_revoked(api: Api) -> None:
    token = api.runtime.tokens.create("ci", Role.VIEWER, by=SETTER)
    headers = {"Authorization": f"bearer {token}"}
    assert api.client.get(PLANS, headers=headers).status_code == 200
    api.runtime.tokens.revoke("ci", by=SETTER)
    assert api.client.get(PLANS, headers=headers).status_code == 401


def test_a_token_works_until_it_expires(api: Api) -> None:
    token = api.runtime.tokens.create("ci", Role.VIEWER, by=SETTER, expires_in=timedelta(hours=1))
    headers = {"Authorization": f"Bearer {token}"}
    assert api.client.get(PLANS, headers=headers).status_code == 200
    with api.runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE marketplace_api_tokens SET expires_at = expires_at - 3600001")
    assert api.client.get(PLANS, headers=headers).status_code == 401


def test_the_caller_is_known_by_the_name_of_the_token(api: Api) -> None:
    token = api.runtime.tokens.create("maria", Role.ADMIN, by=Actor("root", Role.ADMIN))
    api.client.post(PLANS, headers={"Authorization": f"Bearer {token}"}, json={"channels": ["amazon"]})
    assert api.get(PLANS).get_json()["items"][0]["createdBy"] == "maria"
