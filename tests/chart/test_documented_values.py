"""What documents tell to set and to type: values and objects exist, and Helm takes examples and options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.places import Major
from tests.chart.helm_cli import CHART, MAJORS, run_helm
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

#: Those with commands for a release of the name `marketplace`.
_COMMANDS = [*_PAGES, _HOWTO / "image.md", _ROOT / "README.md"]

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


def commands(page: Path, program: str) -> list[str]:
    """Return the commands of one program in the blocks of a page, each on one line."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text_of(page), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line[line.index(f"{program} ") :] for line in lines if re.search(rf"(?:^|[ (]){program} ", line)]


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


@pytest.mark.parametrize("major", MAJORS)
def test_helm_knows_every_option_of_a_command(major: Major) -> None:
    unknown = []
    for command in {found for page in _COMMANDS for found in commands(page, "helm")}:
        verbs = command.split()[1:3] if command.split()[1] == "get" else command.split()[1:2]
        known = run_helm(major, *verbs, "--help").stdout
        unknown += [(command, option) for option in re.findall(r" (--[a-z-]+)", command) if f"{option} " not in known]
    assert unknown == []


def test_objects_that_a_command_names_exist() -> None:
    rendered = render(release="marketplace")
    names = {found["metadata"]["name"] for found in rendered.all()} | {"marketplace-postgresql-0"}
    typed = "\n".join(command for page in _COMMANDS for command in commands(page, "kubectl"))
    # A Secret that a page makes is one of the reader's.
    made = set(re.findall(r"create secret generic (\S+)", typed))
    named = set(re.findall(r"(?:service|deployment|secret|exec)(?: --stdin)?[ /](marketplace-\S+)", typed))
    assert len(named) >= 4
    assert named - made - names == set()
    keys = re.findall(r"get secret (\S+) --output[ =]jsonpath='{\.data\.([\w-]+)}'", typed)
    assert len(keys) >= 2
    assert [key for name, key in keys if key not in rendered.one("Secret", name)["data"]] == []


def test_the_pages_show_examples_commands_and_values() -> None:
    assert sum(len(examples(page)) for page in _EXAMPLES) > 8
    assert len({path for page in _PAGES for path in named_values(page)}) > 30
    assert sum(len(commands(page, "helm")) for page in _COMMANDS) > 8


@pytest.mark.parametrize(
    "path", ["worker.keda.maxReplica", "web.port", "rellay.enabled", "valkey.persistence.size.big"]
)
def test_a_value_that_does_not_exist_is_found(path: str) -> None:
    assert not exists(path)


@pytest.mark.parametrize("path", ["settings.MARKETPLACE_JOBS__WINDOW", "worker.keda", "commonLabels.team"])
def test_what_may_stand_there_is_no_mistake(path: str) -> None:
    assert exists(path)
