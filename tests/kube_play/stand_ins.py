"""Stand-ins for the servers that the chart brings along, where their images cannot be pulled.

Each is this machine's own program on the product's base image, under the name that the chart gives it, and is used as
the real image is: the same entry point, arguments, variables and paths. Grafana comes in no package, so it has none.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.image.base_image import BASE_IMAGE
from deploy.image.engine import Engine
from deploy.local.valkey import valkey_binary
from tests.servers import postgres_binaries

#: What the base has already, and must have from one and the same glibc.
_GLIBC = ("linux-vdso", "ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so")

#: What the official image of PostgreSQL does at its first start, in short.
_POSTGRESQL_START = """#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
    initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \\
        --encoding=UTF8 --locale=C.UTF-8 $POSTGRES_INITDB_ARGS
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c 'listen_addresses=*'
"""

#: By the repository of the image: its ENTRYPOINT.
_ENTRY_POINTS = {
    "valkey/valkey": '["docker-entrypoint.sh"]',
    "library/postgres": '["docker-entrypoint.sh"]',
    "prometheus/prometheus": '["/bin/prometheus"]',
    "prometheus/alertmanager": '["/bin/alertmanager"]',
}


def make_stand_ins(engine: Engine, images: Iterable[str], scratch: Path) -> list[str]:
    """Make a stand-in for each of these images that has one; return the others."""
    without = []
    for image in sorted(images):
        repository = next((name for name in _ENTRY_POINTS if f"/{name}:" in image), None)
        if repository is None:
            without.append(image)
            continue
        context = scratch / repository.replace("/", "-")
        _lay_out(repository, context / "root")
        (context / "Containerfile").write_text(
            f"FROM {BASE_IMAGE}\nCOPY root/ /\n"
            "RUN useradd --uid 999 --no-create-home server\n"
            f"ENV PATH=/usr/lib/postgresql/bin:$PATH\nENTRYPOINT {_ENTRY_POINTS[repository]}\n"
        )
        engine.run("build", "--network=none", "--layers=false", f"--tag={image}", context, seconds=300)
    return without


def _lay_out(repository: str, root: Path) -> None:
    if repository == "valkey/valkey":
        _put(valkey_binary(), root / "usr/local/bin/valkey-server")
        _write(root / "usr/local/bin/docker-entrypoint.sh", '#!/bin/sh\nexec "$@"\n')
    elif repository == "library/postgres":
        _lay_out_postgresql(root)
    else:
        name = repository.rpartition("/")[2]
        # The base's /bin is a link to this folder.
        _put(_program(f"prometheus-{name}", name), root / "usr/bin" / name)
        # Debian keeps what Alertmanager's makers build in: templates of notifications.
        templates = Path("/usr/share/prometheus") / name
        if templates.is_dir():
            shutil.copytree(templates, root / templates.relative_to("/"), ignore_dangling_symlinks=True)


def _lay_out_postgresql(root: Path) -> None:
    binaries = postgres_binaries()
    assert binaries is not None, "PostgreSQL is not installed: run `make tools`"
    version = binaries.parent
    # Its programs find their files by paths that were set when they were made.
    shutil.copytree(version, root / version.relative_to("/"), symlinks=True)
    share = Path("/usr/share/postgresql") / version.name
    shutil.copytree(share, root / share.relative_to("/"), symlinks=False, ignore_dangling_symlinks=True)
    (root / "usr/lib/postgresql/bin").symlink_to(binaries)
    for library in _libraries([binaries / name for name in ("postgres", "initdb", "pg_ctl", "createdb")]):
        _put(library, root / "usr/lib/stand-in" / library.name)
    _write(root / "etc/ld.so.conf.d/stand-in.conf", "/usr/lib/stand-in\n")
    _write(
        root / "usr/local/bin/docker-entrypoint.sh",
        _POSTGRESQL_START.replace("set -eu\n", "set -eu\nexport LD_LIBRARY_PATH=/usr/lib/stand-in\n"),
    )


def _libraries(programs: Iterable[Path]) -> set[Path]:
    found = set()
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=30, check=True).stdout
        paths = [line.split("=>")[1].split()[0] for line in told.splitlines() if "=> /" in line]
        found |= {Path(path) for path in paths if not Path(path).name.startswith(_GLIBC)}
    return found


def _program(*names: str) -> Path:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(f"{names[-1]} is not installed: run `make tools`")
    return Path(found)


def _put(source: Path, target: Path) -> None:
    _made(target.parent)
    shutil.copy2(source, target, follow_symlinks=True)
    target.chmod(0o755)


def _write(target: Path, text: str) -> None:
    _made(target.parent)
    target.write_text(text)
    target.chmod(0o755)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
