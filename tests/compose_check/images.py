"""The images of the check: our own, and stand-ins for those that only a registry has."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from deploy.image.base_image import import_system
from deploy.image.build import build, image_name
from deploy.image.engine import Engine
from deploy.local.valkey import valkey_binary

#: The name carries what is in it, so that a change here makes another image.
_SERVERS = "localhost/marketplace-stand-in/servers:bookworm-postgresql15"
_PACKAGES = (
    "ca-certificates",
    "tini",
    "postgresql-15",
    "prometheus",
    "prometheus-alertmanager",
    # Its redis-cli is called as valkey-cli; the server comes from the wheel that `make run` uses.
    "redis-tools",
)

#: The variable of deploy/compose.yaml that names an image, and the stage of the Containerfile that stands in for it.
_STAND_INS = {
    "VALKEY_IMAGE": "valkey",
    "POSTGRESQL_IMAGE": "postgresql",
    "PROMETHEUS_IMAGE": "prometheus",
    "ALERTMANAGER_IMAGE": "alertmanager",
}

_SECONDS = 300.0


def stand_in_names() -> dict[str, str]:
    """Return the variables that put the images of the check into the compose file."""
    stand_ins = {variable: f"localhost/marketplace-stand-in/{stage}:check" for variable, stage in _STAND_INS.items()}
    return {"MARKETPLACE_IMAGE": f"localhost/{image_name()}", **stand_ins}


def save_images(engine: Engine, archive: Path) -> None:
    """Build every image, and write them to one archive that Docker can load.

    Raises:
        EngineError: A step failed.
    """
    names = stand_in_names()
    build(engine, names["MARKETPLACE_IMAGE"], base=None)
    if not engine.has_image(_SERVERS):
        import_system(engine, _SERVERS, _PACKAGES)
    with tempfile.TemporaryDirectory() as context:
        for file in (Path(__file__).with_name("Containerfile"), Path(__file__).with_name("postgresql.sh")):
            shutil.copy(file, context)
        shutil.copy(valkey_binary(), Path(context) / "valkey-server")
        for variable, stage in _STAND_INS.items():
            engine.run(
                "build",
                "--quiet",
                "--format=docker",
                "--network=none",
                f"--build-arg=SERVERS={_SERVERS}",
                f"--target={stage}",
                f"--tag={names[variable]}",
                f"--file={context}/Containerfile",
                context,
                seconds=_SECONDS,
            )
    archive.unlink(missing_ok=True)
    engine.run(
        "save", "--multi-image-archive", "--format=docker-archive", f"--output={archive}", *names.values(), seconds=600
    )
