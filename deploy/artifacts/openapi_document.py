"""docs/reference/openapi.json: the document that `GET /api/openapi.json` answers."""

from __future__ import annotations

import json

from app.api.application import create_app
from app.settings import Settings
from app.web_runtime import build_web_runtime


def openapi_document() -> str:
    """Return the document as text; nothing is connected to, and no setting is read."""
    runtime = build_web_runtime(Settings.model_construct())
    try:
        return json.dumps(create_app(runtime).spec, indent=2, ensure_ascii=False) + "\n"
    finally:
        runtime.close()
