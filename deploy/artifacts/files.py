"""The table of generated files: path within the repository, and the function that returns its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from alerting.alertmanager import alertmanager_file
from deploy.artifacts.chart_files import CHART_FILES
from deploy.artifacts.chart_readme import chart_readme
from deploy.artifacts.grafana_files import GRAFANA_FILES
from deploy.artifacts.message_files import MESSAGE_FILES
from deploy.artifacts.pages import PAGES
from deploy.artifacts.rule_documents import (
    ALERT_FILE,
    ALERTMANAGER_FILE,
    RECORDING_FILE,
    alert_document,
    recording_document,
)
from deploy.artifacts.terraform_readme import terraform_readme
from deploy.compose.observing import COMPOSE_FILES

FILES: Mapping[str, Callable[[], str]] = {
    **{f"docs/reference/{name}": page for name, page in PAGES.items()},
    **GRAFANA_FILES,
    **CHART_FILES,
    **MESSAGE_FILES,
    f"monitoring/generated/{RECORDING_FILE}": recording_document,
    f"alerting/generated/{ALERT_FILE}": alert_document,
    f"alerting/generated/{ALERTMANAGER_FILE}": alertmanager_file,
    "deploy/terraform/elasticache/README.md": terraform_readme,
    **COMPOSE_FILES,
    "helm/marketplace/README.md": chart_readme,
}


def write_files(root: Path) -> list[Path]:
    """Write every file into the repository at `root`; return their paths within it."""
    for name, document in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(), encoding="utf-8")
    return [Path(name) for name in FILES]
