"""Checks of this machine and its settings: what is wrong, and the command that mends it."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.agents.configuration import load_agents
from app.domain.errors import ConfigurationError, DatabaseUnavailableError, NetworkError
from app.job_queue.clients import fail_fast_client
from app.job_queue.health import check_redis
from app.live_metrics import LiveMetrics
from app.settings import DatabaseSettings, Settings, load_settings
from app.storage.database import Database
from app.storage.revisions import NEWEST, current_revision, is_migrated
from deploy.local.environment import read_dotenv
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import http_answers
from deploy.local.run_file import DataDirectory
from deploy.local.stack import choose_ports, is_given
from deploy.local.valkey import valkey_binary

_AGENT_SECONDS = 2.0
_LOCKS = (Path("requirements/dev.lock"), Path("requirements/runtime.lock"))


@dataclass(frozen=True)
class Finding:
    """What a check found; a problem has a `fix`: a command, or what to change."""

    detail: str
    fix: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether something is to be mended."""
        return bool(self.fix)


def examine(data: DataDirectory) -> Iterator[tuple[str, Finding]]:
    """Yield every check's name and what it found. Without valid settings the checks that need them are left out."""
    yield "Python", Finding(platform.python_version())
    yield "Dependencies", _dependencies()
    try:
        read_dotenv()
        settings = load_settings()
    except ConfigurationError as error:
        yield "Settings", Finding(str(error), "correct these settings; marketplace config validate checks them")
        return
    yield "Settings", Finding("valid")
    facts = data.announced()
    web = None if facts is None else urlsplit(facts["urls"]["web"])
    checks: dict[str, Callable[[], Finding]] = {
        "Ports": lambda: _ports(settings) if facts is None else Finding("those of the running stack"),
        "Database": lambda: _database(settings, data),
        "Redis": lambda: _redis(settings, None if web is None else web.port),
        "Agents": lambda: _agents(settings),
        "Running stack": lambda: _stack(data, None if web is None else web.port),
    }
    for name, check in checks.items():
        yield name, check()


def _dependencies() -> Finding:
    """Compare the stamp that deploy/setup.sh left with the lock files here; elsewhere the installer saw to it."""
    locks = [lock.read_bytes() for lock in _LOCKS if lock.is_file()]
    if not locks or not Path(sys.prefix).is_relative_to(Path.cwd()):
        return Finding(f"as installed in {sys.prefix}")
    project = Path("pyproject.toml").read_bytes()
    if any((Path(sys.prefix) / f".setup-{_cksum(lock + project)}").exists() for lock in locks):
        return Finding("as locked")
    return Finding("not those of the lock file", "make setup")


def _cksum(content: bytes) -> str:
    result = subprocess.run(["cksum"], input=content, capture_output=True, check=True, timeout=10)  # noqa: S607 -- POSIX has it on the PATH
    return result.stdout.split()[0].decode()


def _ports(settings: Settings) -> Finding:
    try:
        ports = choose_ports(settings)
    except NetworkError as error:
        return Finding(str(error), "stop that program, or choose another port: make run PORT=8080")
    for port in ports.all().values():
        port.close()
    moved = [f"{purpose}: would be {port.number}, for {port.moved}" for purpose, port in ports.moved()]
    return Finding("; ".join(moved) or "free")


def _database(settings: Settings, data: DataDirectory) -> Finding:
    chosen = settings.database
    if not is_given("database.url"):
        file = data.path / "marketplace.db"
        if not file.exists():
            return Finding(f"SQLite, made in {data.path} by the first start")
        chosen = DatabaseSettings.model_validate({"url": f"sqlite:///{file}"})
    database = Database(chosen)
    try:
        current = current_revision(database)
    except DatabaseUnavailableError as error:
        return Finding(str(error), "start the database, or correct DATABASE_URL")
    finally:
        database.close()
    if not is_migrated(current):
        return Finding(f"{database.dialect} is at {current or 'no schema'}, not {NEWEST}", "marketplace db upgrade")
    return Finding(f"{database.dialect} is at {current}")


def _redis(settings: Settings, web_port: int | None) -> Finding:
    if is_given("redis.url"):
        client = fail_fast_client(settings.redis, LiveMetrics())
        try:
            health = check_redis(client)
        finally:
            client.close()
        if health.error is not None:
            return Finding(f"does not answer ({health.error})", "start Redis, or correct REDIS_URL")
        return Finding(f"answers in {health.latency_ms:.0f} ms")
    if web_port is not None and not http_answers(web_port, "/api/health/redis"):
        return Finding("the stack's Valkey does not answer", "marketplace stop && marketplace run")
    try:
        binary = valkey_binary()
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603 -- the server that the stack would start
    except ConfigurationError as error:
        return Finding(str(error), "install valkey-server or redis-server, or set REDIS_URL")
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(f"{binary} does not run ({type(error).__name__})", "make setup")
    return Finding(f"embedded: {' '.join(version.split()[:3])}")


def _agents(settings: Settings) -> Finding:
    if not is_given("agents.file", "agents.items"):
        return Finding("simulated by the stack")
    try:
        agents = load_agents(settings.agents)
    except ConfigurationError as error:
        return Finding(str(error), "correct the list of agents")
    silent = [agent.name for agent in agents if not _connects(agent.url)]
    if silent:
        return Finding(f"cannot be reached: {', '.join(silent)}", "start these agents, or correct their urls")
    return Finding(f"{len(agents)} can be reached")


def _connects(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or LOOPBACK, port), timeout=_AGENT_SECONDS).close()
    except OSError:
        return False
    return True


def _stack(data: DataDirectory, web_port: int | None) -> Finding:
    if web_port is None:
        return Finding(f"none in {data.path}")
    if not http_answers(web_port, "/api/health/ready"):
        return Finding("is not ready", f"look into {data.logs}, then marketplace stop && marketplace run")
    return Finding("ready")
