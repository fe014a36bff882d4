"""What the chart renders, for tests: `render(...)` gives the objects, `refused(...)` gives Helm's message.

    from tests.chart.manifest_files import container, env, volumes
    from tests.chart.rendering import refused, render

    def test_the_worker_s_replicas_are_those_of_the_values() -> None:
        worker = render({"worker": {"replicas": 3}}).one("Deployment", "demo-marketplace-worker")
        assert worker["spec"]["replicas"] == 3

Each distinct input is rendered once per process, in about 0.1 s, so a test may ask for what it needs as often as it
likes. The objects are shared: a test that changes one works on a copy of its own. Reading refuses a doubled key, a
doubled object and a doubled environment variable, whatever the test is about. Where Helm is missing the test is skipped
by name, and fails in CI.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from deploy.tools.places import Major
from tests.chart.helm_cli import CHART, run_helm
from tests.chart.manifest_files import Object, identity, parsed

#: Release and namespace of every test that does not care.
RELEASE, NAMESPACE = "demo", "ops"
#: Values files of the chart's own test cases.
CASES = CHART / "ci"


@dataclass(frozen=True)
class Rendered:
    """The objects of one release, in the order in which Helm writes them."""

    objects: tuple[Object, ...]

    def all(self) -> tuple[Object, ...]:
        """Return every object, hooks and tests too."""
        return self.objects

    def of(self, kind: str) -> tuple[Object, ...]:
        """Return the objects of one kind."""
        return tuple(found for found in self.objects if found["kind"] == kind)

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of the objects of one kind."""
        return sorted(found["metadata"]["name"] for found in self.of(kind))

    def one(self, kind: str, name: str | None = None) -> Object:
        """Return the object of this kind and name; without a name, the only one of its kind.

        Raises:
            AssertionError: If there is none or, without a name, more than one; the text lists what there is.
        """
        chosen = [found for found in self.of(kind) if name in {None, found["metadata"]["name"]}]
        assert len(chosen) == 1, f"{len(chosen)} of {kind} {name or ''}; there are: {self._known(kind)}"
        return chosen[0]

    def has(self, kind: str, name: str) -> bool:
        """Return whether there is an object of this kind and name."""
        return name in self.names(kind)

    def _known(self, kind: str) -> list[str]:
        return self.names(kind) or sorted(identity(found) for found in self.objects)


def render(
    values: Mapping[str, Any] | None = None,
    *,
    helm: Major = "4",
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    files: Iterable[Path | str] = (),
    set: Iterable[str] = (),  # noqa: A002 - the name of Helm's own option
    kube_version: str | None = None,
    api_versions: Iterable[str] = (),
    upgrade: bool = False,
    chart: Path = CHART,
) -> Rendered:
    """Return what `helm template` makes of these values.

    Args:
        values: Win over `files`, as a later `--values` does.
        helm: Major version.
        release: Name of the release.
        namespace: Namespace of the release.
        files: Values files; a bare name is one of the chart's own cases: `"external"` is ci/external-values.yaml.
        set: `key=value` each, as for `--set`; wins over everything.
        kube_version: What the chart sees as the cluster's version, such as `1.30`; Helm's own default otherwise.
        api_versions: What the chart sees in `.Capabilities.APIVersions`, beside the built-in ones.
        upgrade: Whether the chart sees an upgrade (`.Release.IsUpgrade`).
        chart: Folder of the chart, for a chart that has ours as its sub-chart.

    Raises:
        AssertionError: If Helm refuses, with its message, or if a key, an object or a variable stands twice.
    """
    arguments = _arguments(release, namespace, files, set, kube_version, api_versions, upgrade=upgrade, chart=chart)
    return _rendered(helm, arguments, _text(values))


def refused(
    values: Mapping[str, Any] | None = None,
    *,
    helm: Major = "4",
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    files: Iterable[Path | str] = (),
    set: Iterable[str] = (),  # noqa: A002 - the name of Helm's own option
    kube_version: str | None = None,
) -> str:
    """Return the message with which Helm refuses these values; fails when it takes them. Arguments as for `render`."""
    arguments = _arguments(release, namespace, files, set, kube_version, (), upgrade=False, chart=CHART)
    code, output, message = _templated(helm, arguments, _text(values))
    assert code != 0, f"Helm {helm} took these values: {output[:300]}"
    return message


def values_file(name: Path | str) -> Path:
    """Return the file of one of the chart's own cases; a path stays as it is."""
    return name if isinstance(name, Path) else CASES / f"{name}-values.yaml"


def cases() -> list[str]:
    """Return the names of the chart's own cases, for `render(files=[name])`."""
    return sorted(path.name.removesuffix("-values.yaml") for path in CASES.glob("*-values.yaml"))


def _arguments(
    release: str,
    namespace: str,
    files: Iterable[Path | str],
    settings: Iterable[str],
    kube_version: str | None,
    api_versions: Iterable[str],
    *,
    upgrade: bool,
    chart: Path,
) -> tuple[str, ...]:
    optional = [f"--kube-version={kube_version}"] if kube_version else []
    optional += ["--is-upgrade"] if upgrade else []
    return (
        "template",
        release,
        str(chart),
        f"--namespace={namespace}",
        *(f"--values={values_file(name)}" for name in files),
        *(f"--set={setting}" for setting in settings),
        *(f"--api-versions={version}" for version in api_versions),
        *optional,
    )


def _text(values: Mapping[str, Any] | None) -> str:
    return json.dumps(values or {}, sort_keys=True)


@cache
def _rendered(major: Major, arguments: Sequence[str], values: str) -> Rendered:
    code, output, message = _templated(major, arguments, values)
    assert code == 0, f"Helm {major} refused: {message}"
    return Rendered(parsed(output))


@cache
def _templated(major: Major, arguments: Sequence[str], values: str) -> tuple[int, str, str]:
    # JSON is YAML; "-" is Helm's name for its standard input.
    ended = run_helm(major, *arguments, "--values=-", stdin=values)
    return ended.returncode, ended.stdout, ended.stderr
