from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import jsonschema_rs
import pytest

from app.api.problems import KINDS
from tests.api import Api

METHODS = {"get", "post", "patch", "put", "delete"}


def document_of(api: Api) -> dict[str, Any]:
    """Return the OpenAPI document."""
    answer = api.get("/api/openapi.json", None)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    found: dict[str, Any] = answer.get_json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return path, method and description of every call."""
    return [(path, method, call) for path, calls in document["paths"].items() for method, call in calls.items()]


def references(part: Any) -> set[str]:  # noqa: ANN401 -- JSON is any value
    """Return every reference in a part of the document."""
    if isinstance(part, list):
        return {reference for member in part for reference in references(member)}
    if not isinstance(part, dict):
        return set()
    return {value for key, value in part.items() if key == "$ref"} | {
        reference for member in part.values() for reference in references(member)
    }


def test_every_reference_leads_somewhere_and_every_schema_is_used(sqlite_api: Api) -> None:
    document = document_of(sqlite_api)
    assert document["openapi"].startswith("3.1.")
    assert references(document) == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_every_schema_is_a_sound_json_schema(sqlite_api: Api) -> None:
    for name, schema in document_of(sqlite_api)["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name


def test_every_route_and_method_is_described_and_named_once(sqlite_api: Api) -> None:
    document = document_of(sqlite_api)
    routes = {
        (re.sub(r"<[^>]+>", "{}", rule.rule), method.lower())
        for rule in sqlite_api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert {(re.sub(r"{[^}]+}", "{}", path), method) for path, method, _ in operations(document)} == routes
    names = [call["operationId"] for _, _, call in operations(document)]
    assert len(names) == len(set(names))
    assert all(call["summary"] for _, _, call in operations(document))


def test_closed_calls_name_the_bearer_token_their_role_and_their_problems(sqlite_api: Api) -> None:
    for path, method, call in operations(document_of(sqlite_api)):
        assert set(call["responses"]) >= {"500", "503"}, path
        if call["x-role"] == "public":
            assert "security" not in call
        else:
            assert call["security"] == [{"bearer": []}], path
            assert set(call["responses"]) >= {"401", "403", "422", "429"}, (method, path)
        if "requestBody" in call:
            assert call["requestBody"]["required"] is True
            assert set(call["responses"]) >= {"400", "413", "415"}, (method, path)


def test_the_documentation_shows_every_call_and_every_problem(sqlite_api: Api) -> None:
    answer = sqlite_api.get("/api/docs", None)
    page = answer.get_data(as_text=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    for path, _, call in operations(document_of(sqlite_api)):
        assert f"<code>{path}</code>" in page
        assert call["summary"].partition("`")[0] in page
    for code in KINDS:
        assert f'id="problem-{code}"' in page


def test_a_problem_names_a_place_in_the_documentation(sqlite_api: Api) -> None:
    address, _, anchor = sqlite_api.get("/nowhere").get_json()["type"].partition("#")
    assert f'id="{anchor}"' in sqlite_api.get(address, None).get_data(as_text=True)


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_pages_load_nothing_from_elsewhere_and_only_the_style_that_they_declare(sqlite_api: Api, path: str) -> None:
    answer = sqlite_api.get(path, None)
    page = answer.get_data(as_text=True)
    assert not re.search(r"<script|src=|@import|url\(|<link|style=", page)
    assert all(not link.startswith("http") for link in re.findall(r'href="([^"]+)"', page))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy == f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{digest}'"


def test_the_links_of_the_index_lead_somewhere(sqlite_api: Api) -> None:
    links = re.findall(r'href="([^"]+)"', sqlite_api.get("/", None).get_data(as_text=True))
    assert "/api/docs" in links
    assert {link: sqlite_api.get(link, None).status_code for link in links} == dict.fromkeys(links, 200)
