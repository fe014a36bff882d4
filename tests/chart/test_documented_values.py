"""What documents tell to set: the values exist, and Helm takes the examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm_cli import CHART
from tests.chart.rendering import render

_ROOT = CHART.parents[1]
_VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
_HOWTO = _ROOT / "docs" / "howto"
#: Those whose examples can be used as they are.
_EXAMPLES = [_HOWTO / f"{name}.md" for name in ("kubernetes", "kubernetes-monitoring", "scale-out")]
#: Those that are about the chart, so that `worker.something` in them is one of its values.
_PAGES = [
    *_EXAMPLES,
    *(_HOWTO / f"{name}.md" for name in ("backup", "production-checklist", "retention", "upgrade")),
    *sorted(CHART.glob("*.md")),
]

each_page = pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def examples(page: Path) -> list[Mapping[str, Any]]:
    """Return the values files that a page shows; YAML with other keys is something else."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    found = [yaml.safe_load(block) for block in blocks]
    return [block for block in found if isinstance(block, dict) and set(block) & set(_VALUES)]


def named_values(page: Path) -> Iterator[str]:
    """Every value that a page names: within a line, with or without what to set it to, and after `--set`."""
    groups = "|".join(re.escape(name) for name, value in _VALUES.items() if isinstance(value, dict))
    yield from re.findall(rf"`((?:{groups})(?:\.\w+)+)(?:: [^`]*)?`", text_of(page))
    yield from re.findall(r"--set(?:-string|-json)?[ =]([\w.]+)=", text_of(page))


def exists(path: str) -> bool:
    """Tell whether values.yaml has this path; below a map without keys anything may stand."""
    here: Any = _VALUES
    for part in path.split("."):
        if here == {}:
            return True
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return True


@each_page
def test_every_value_that_a_page_names_exists(page: Path) -> None:
    assert [path for path in named_values(page) if not exists(path)] == []


@pytest.mark.parametrize("page", _EXAMPLES, ids=lambda page: page.stem)
def test_helm_takes_every_example_of_a_page(page: Path) -> None:
    for example in examples(page):
        render(example)


def test_the_pages_show_examples_and_name_values() -> None:
    assert sum(len(examples(page)) for page in _EXAMPLES) > 8
    assert len({path for page in _PAGES for path in named_values(page)}) > 30


@pytest.mark.parametrize(
    "path", ["worker.keda.maxReplica", "web.port", "rellay.enabled", "valkey.persistence.size.big"]
)
def test_a_value_that_does_not_exist_is_found(path: str) -> None:
    assert not exists(path)


@pytest.mark.parametrize("path", ["settings.MARKETPLACE_JOBS__WINDOW", "worker.keda", "commonLabels.team"])
def test_what_may_stand_there_is_no_mistake(path: str) -> None:
    assert exists(path)
