"""The list of settings that the chart checks `settings` against, so that a typing error does not wait for the pods."""

from __future__ import annotations

import json
from typing import Any

from app.settings import Settings, known_names


def chart_settings() -> str:
    """Return the list as JSON: each variable, and whether what it holds is a secret."""
    groups = {group: type(value).model_json_schema()["properties"] for group, value in Settings.model_construct()}
    paths = {name: path.split(".") for name, path in known_names().items()}
    secrets = {name: _is_secret(groups[group][field]) for name, (group, field) in paths.items()}
    return json.dumps(secrets, indent=2, sort_keys=True) + "\n"


def _is_secret(schema: dict[str, Any]) -> bool:
    return any(choice.get("format") == "password" for choice in (schema, *schema.get("anyOf", ())))
