"""A cluster that only answers reads: what `lookup` finds when Helm renders against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.chart.manifest_files import Object

#: What the chart makes by default; Helm 4 wants to know each kind.
_KINDS = {
    "v1": ("Secret", "ConfigMap", "Service", "ServiceAccount", "PersistentVolumeClaim", "Pod"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "batch/v1": ("Job",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
}


def _path(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _plural(kind: str) -> str:
    return f"{kind.lower()}s".replace("ys", "ies")


def _group(version: str) -> Object:
    known = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [known], "preferredVersion": known}


def _answers(objects: Sequence[Object]) -> dict[str, Object]:
    groups = [_group(version) for version in _KINDS if "/" in version]
    known: dict[str, Object] = {
        "/version": {"major": "1", "minor": "31", "gitVersion": "v1.31.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for version, kinds in _KINDS.items():
        resources = [
            {"name": _plural(kind), "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for kind in kinds
        ]
        known[_path(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    for found in objects:
        meta = found["metadata"]
        place = f"{_path(found['apiVersion'])}/namespaces/{meta['namespace']}"
        known[f"{place}/{_plural(found['kind'])}/{meta['name']}"] = found
    return known


@contextmanager
def fake_cluster(objects: Sequence[Object]) -> Iterator[str]:
    """Serve these objects as a Kubernetes API does; yields its address. Everything else is not found."""
    answers = _answers(objects)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(
                found or {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
            ).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
