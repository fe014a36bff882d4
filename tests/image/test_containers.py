from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from deploy.image.build import ROOT, version
from deploy.image.contents import bill_of_materials, sizes, sizes_table
from deploy.image.engine import Engine
from tests.containers import HARDENED, built_image

#: The first test builds the image, on a base that may have to be made first.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

_OFFLINE = (*HARDENED, "--network=none")


@pytest.fixture(scope="session")
def image() -> tuple[Engine, str]:
    """Return the engine and the name of the image, built from this checkout."""
    return built_image()


@pytest.fixture
def scheduler(image: tuple[Engine, str]) -> Iterator[str]:
    """Yield the id of a hardened container that runs the scheduler, which waits for its schema."""
    engine, name = image
    container = engine.run("run", "--detach", *_OFFLINE, name, "scheduler").strip()
    yield container
    engine.attempt("rm", "--force", "--time=0", container)


def shell(image: tuple[Engine, str], script: str) -> str:
    """Run a script in a hardened container, and return what it printed."""
    engine, name = image
    return engine.run("run", *_OFFLINE, "--entrypoint=sh", name, "-c", script)


def test_its_command_is_a_role_of_ours_and_it_tells_its_version(image: tuple[Engine, str]) -> None:
    engine, name = image
    assert engine.run("run", *_OFFLINE, name, "--version") == f"marketplace, version {version()}\n"
    config = json.loads(engine.run("image", "inspect", name))[0]["Config"]
    assert config["Entrypoint"] == ["tini", "--", "marketplace"]
    assert config["Cmd"] == ["web"]
    assert config["Labels"]["org.opencontainers.image.version"] == version()
    assert re.fullmatch(r"[0-9a-f]{40}", config["Labels"]["org.opencontainers.image.revision"])
    health = json.loads(engine.run("image", "inspect", name))[0]["Healthcheck"]
    assert health["Test"] == ["CMD", "marketplace", "health"]


def test_its_user_is_a_number_that_is_not_root(image: tuple[Engine, str]) -> None:
    engine, name = image
    assert json.loads(engine.run("image", "inspect", name))[0]["Config"]["User"] == "10001:10001"
    assert shell(image, "id -u; id -g; grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status | cut -f2 | sort -u").split() == [
        "10001",
        "10001",
        "0000000000000000",
    ]


def test_nothing_of_it_can_be_written_but_what_is_mounted(image: tuple[Engine, str]) -> None:
    written = shell(image, "for d in / /opt/marketplace /data /etc /tmp; do touch $d/x 2>/dev/null && echo $d; done; :")
    assert written.split() == ["/tmp"]
    # Without a read-only root, the program's files are still root's.
    engine, name = image
    script = "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' -print 2>/dev/null"
    found = engine.run("run", "--rm", "--network=none", "--entrypoint=sh", name, "-c", script).split()
    assert [path for path in found if path not in {"/data", "/tmp", "/var/tmp", "/run/lock", "/var/lock"}] == []


def test_it_has_no_installer_and_no_compiler(image: tuple[Engine, str]) -> None:
    script = (
        "command -v pip pip3 cc gcc make curl wget; find / -xdev -name '*.pyc' -prune -o -name 'pip*.whl' -print; :"
    )
    assert shell(image, script) == ""
    assert shell(image, "python -c 'import pip' 2>&1 | tail -1").startswith("ModuleNotFoundError")
    assert shell(image, "python3 -m ensurepip 2>&1").strip().endswith("No module named ensurepip")


def test_every_module_of_the_environment_has_its_bytecode(image: tuple[Engine, str]) -> None:
    script = """
import importlib.util, pathlib
sources = [p for p in pathlib.Path("/opt/marketplace/lib").rglob("*.py")]
lacking = [str(p) for p in sources if not pathlib.Path(importlib.util.cache_from_source(p)).exists()]
print(len(sources), *lacking)
"""
    engine, name = image
    count, *lacking = engine.run("run", *_OFFLINE, "--entrypoint=python", name, "-c", script).split()
    assert int(count) > 1000
    # Templates of code, which nobody imports as they are.
    assert [path for path in lacking if "/templates/" not in path] == []


def test_it_has_the_simulations_of_a_trial(image: tuple[Engine, str]) -> None:
    engine, name = image
    for module in ("loadtest.fake_agents", "loadtest.fake_slack"):
        told = engine.run("run", *_OFFLINE, "--entrypoint=python", name, "-m", module, "--help")
        assert "--port" in told


@pytest.mark.parametrize("role", ["web", "worker", "scheduler", "relay"])
def test_the_health_of_a_role_that_does_not_run_is_one_line_and_1(image: tuple[Engine, str], role: str) -> None:
    engine, name = image
    done = engine.attempt("run", *_OFFLINE, name, "health", role)
    assert done.returncode == 1
    assert re.fullmatch(rf"{role}: does not answer at 127\.0\.0\.1:\d+ \(ConnectionRefusedError\)\n", done.stdout)


def test_the_health_check_asks_the_role_that_the_container_was_started_with(
    image: tuple[Engine, str], scheduler: str
) -> None:
    engine, _ = image
    deadline, line = time.monotonic() + 30, ""
    while not line.startswith("scheduler: ") and time.monotonic() < deadline:
        line = engine.attempt("exec", scheduler, "marketplace", "health").stdout
    assert line.startswith("scheduler: ")


@pytest.mark.parametrize("role", ["web", "worker", "scheduler"])
def test_sigterm_ends_a_role_with_0(image: tuple[Engine, str], role: str) -> None:
    engine, name = image
    # Each waits for a database: a file that nobody has migrated.
    settings = "--env=MARKETPLACE_DATABASE__URL=sqlite:////tmp/marketplace.db"
    options = [option for option in _OFFLINE if option != "--rm"]
    container = engine.run("run", "--detach", *options, settings, name, role).strip()
    try:
        deadline = time.monotonic() + 30
        while "waiting_for_schema" not in (told := engine.attempt("logs", container).stdout):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        engine.run("stop", "--time=20", container, seconds=60)
        state = json.loads(engine.run("inspect", container))[0]["State"]
        assert state["ExitCode"] == 0, engine.attempt("logs", container).stdout
    finally:
        engine.attempt("rm", "--force", "--time=0", container)


def test_the_bill_of_materials_lists_what_is_installed(image: tuple[Engine, str]) -> None:
    engine, name = image
    script = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
    installed = set(engine.run("run", *_OFFLINE, "--entrypoint=python", name, "-c", script).split())
    document = bill_of_materials(engine, name, scanner=ROOT / ".venv-sbom" / "bin" / "cyclonedx-py")
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert {f"{c['name']}=={c['version']}" for c in document["components"]} == installed
    assert f"marketplace-resilience=={version()}" in installed


def test_its_parts_add_up(image: tuple[Engine, str]) -> None:
    parts = sizes(*image)
    assert 50e6 < parts["environment"] < parts["image"] < 400e6
    table = sizes_table(parts)
    assert table.startswith("| Part | MB |\n")
    assert "| of it, SQLAlchemy |" in table
