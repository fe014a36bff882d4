"""The table of generated pages: file name under docs/reference/, and the function that returns its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.artifacts.alerts_page import alerts_page
from deploy.artifacts.cli_page import cli_page
from deploy.artifacts.errors_page import errors_page
from deploy.artifacts.message_files import messages_page
from deploy.artifacts.metrics_page import metrics_page
from deploy.artifacts.openapi_document import openapi_document
from deploy.artifacts.settings_page import settings_page

PAGES: Mapping[str, Callable[[], str]] = {
    "alerts.md": alerts_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "messages.md": messages_page,
    "metrics.md": metrics_page,
    "openapi.json": openapi_document,
    "settings.md": settings_page,
}
