from __future__ import annotations

import os
import re
import subprocess

import pytest

from deploy.image.build import CONTAINERFILE, LOCKS, ROOT, build, image_name
from deploy.image.engine import Engine, EngineError, find_engine, run_program
from deploy.image.wheels import entries_for
from deploy.tools.places import find_hadolint


def test_hadolint_finds_nothing() -> None:
    hadolint = find_hadolint()
    if hadolint is None:
        missing = "hadolint is not installed: run `make tools`"
        if os.environ.get("CI", "") not in {"", "0", "false"}:
            pytest.fail(missing)
        pytest.skip(missing)
    judged = subprocess.run([hadolint, CONTAINERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (judged.returncode, judged.stdout) == (0, "")


def test_what_is_copied_into_the_build_is_listed_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".containerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    listed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert all((ROOT / path).exists() for path in listed)
    assert not {"var", ".env", ".git", "tests", "."} & set(listed)
    assert (ROOT / ".dockerignore").readlink().name == ".containerignore"


@pytest.mark.parametrize(("python", "has_backport"), [("3.11.2", True), ("3.11.7", False), ("3.12.3", False)])
def test_the_wheels_are_those_for_the_python_of_the_base(python: str, *, has_backport: bool) -> None:
    entries = list(entries_for(LOCKS[1].read_text(), python))
    assert any(entry.startswith("async-timeout==") for entry in entries) is has_backport
    assert sum(entry.startswith("deprecated==") for entry in entries) == 1
    assert not any(";" in entry or entry.startswith("tzdata") for entry in entries)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_of_the_build_has_the_versions_of_the_one_that_tests_use() -> None:
    pins = re.findall(r"^([a-z-]+)==(\S+)", LOCKS[0].read_text(), re.MULTILINE)
    tested = dict(re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "requirements" / "dev.lock").read_text(), re.MULTILINE))
    assert {name: tested[name] for name, _ in pins} == dict(pins)


def test_without_an_engine_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Exception, match=r"none of podman, buildah, docker is on the PATH: run `make tools`"):
        find_engine()


def test_a_base_from_a_registry_is_built_on_with_the_network_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(Engine, "run", lambda _self, *arguments, **_: commands.append(list(map(str, arguments))))
    build(Engine("/usr/bin/docker"), image_name(), base="docker.io/library/python:3.12-slim-bookworm")
    (command,) = commands
    assert "--build-arg=BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm" in command
    assert not any(part.startswith(("--network", "--volume", "--format")) for part in command)


def test_a_step_that_fails_is_told_by_its_last_lines() -> None:
    failing = Engine("/bin/sh")
    with pytest.raises(EngineError, match=r"(?s)sh -c failed:\n.*too bad"):
        failing.run("-c", "echo too bad >&2; exit 3")
    with pytest.raises(EngineError, match="was not done after"):
        failing.run("-c", "sleep 5", seconds=0.1)
    with pytest.raises(EngineError, match="no-such-program is not installed: run `make tools`"):
        run_program(["no-such-program"], seconds=1)
