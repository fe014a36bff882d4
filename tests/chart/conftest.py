"""The values files that every rule of the chart is checked with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm_cli import CHART
from tests.chart.rendering import Rendered, render

#: One per values file in the chart's ci/ folder, and the chart as somebody's sub-chart.
CASES = ("default", "demo", "external", "hardened", "keda", "minimal", "no-hooks", "operator", "sub-chart")

#: What a platform's own chart would say, with the values for ours under its name.
PARENT_VALUES = {
    "global": {"imageRegistry": "registry.example.com", "platform": {"team": "shop"}},
    "marketplace": {"enabled": True, "worker": {"replicas": 3}},
}


@pytest.fixture(scope="session")
def parent_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chart that has ours as its sub-chart, under a condition."""
    folder = tmp_path_factory.mktemp("parent") / "platform"
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    dependency = {"name": "marketplace", "version": version, "condition": "marketplace.enabled"}
    about = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    shutil.copytree(CHART, folder / "charts" / "marketplace")
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    (folder / "values.yaml").write_text(yaml.safe_dump(PARENT_VALUES), encoding="utf-8")
    return folder


@pytest.fixture
def render_case(parent_chart: Path) -> Callable[..., Rendered]:
    """Return a function that renders one of `CASES`, with the options of `render`."""

    def rendered(name: str, **options: Any) -> Rendered:
        chosen: dict[str, Any] = {"chart": parent_chart} if name == "sub-chart" else {"files": (name,)}
        return render(**chosen, **options)

    return rendered


@pytest.fixture(params=CASES)
def case_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each case in turn."""
    return str(request.param)


@pytest.fixture
def case(case_name: str, render_case: Callable[..., Rendered]) -> Rendered:
    """Return each case in turn, rendered with Helm 4."""
    return render_case(case_name)
