"""The table of generated files: path in the repository, and the function that returns its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.artifacts.grafana_files import GRAFANA_FILES
from deploy.artifacts.pages import PAGES

FILES: Mapping[str, Callable[[], str]] = {
    **{f"docs/reference/{name}": page for name, page in PAGES.items()},
    **GRAFANA_FILES,
}
