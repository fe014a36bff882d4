"""What is in the image: the sizes of its parts, and a bill of materials."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.image.engine import Engine, EngineError, run_program

ENVIRONMENT = "/opt/marketplace"

#: Prints, for each distribution of the environment that it runs in, what its files take up, in bytes.
_MEASURE = """
import json
from importlib.metadata import distributions
from pathlib import Path

def size(file):
    path = Path(file.locate())
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0

own = {d.metadata["Name"]: sum(map(size, d.files or [])) for d in distributions()}
bytecode = sum(p.lstat().st_size for p in Path("/opt/marketplace").rglob("*.pyc"))
whole = sum(p.lstat().st_size for p in Path("/opt/marketplace").rglob("*") if not p.is_dir())
print(json.dumps({"own": own, "bytecode": bytecode, "whole": whole}))
"""


def sizes(engine: Engine, image: str) -> dict[str, int]:
    """Return bytes by part of the image: `image`, `environment`, `bytecode`, and each distribution by its name."""
    whole = json.loads(engine.run("image", "inspect", image))[0]["Size"]
    told = json.loads(
        engine.run("run", "--rm", "--network=none", "--entrypoint=python", image, "-c", _MEASURE, seconds=120)
    )
    return {"image": whole, "environment": told["whole"], "bytecode": told["bytecode"], **told["own"]}


def sizes_table(parts: Mapping[str, int], *, largest: int = 8) -> str:
    """Return the sizes as a Markdown table, in MB of a million bytes; the smaller distributions count together."""
    parts = dict(parts)
    image, environment, bytecode = (parts.pop(name) for name in ("image", "environment", "bytecode"))
    by_size = sorted(parts.items(), key=lambda part: -part[1])
    others = by_size[largest:]
    rows = [
        ("whole image", image),
        ("base: Debian, Python, tini", image - environment),
        ("environment in /opt/marketplace", environment),
        ("of it, bytecode", bytecode),
        *((f"of it, {name}", size) for name, size in by_size[:largest]),
        (f"of it, {len(others)} other distributions", sum(size for _, size in others)),
    ]
    lines = [f"| {name} | {size / 1e6:.1f} |" for name, size in rows]
    return "\n".join(["| Part | MB |", "| --- | ---: |", *lines])


def bill_of_materials(engine: Engine, image: str, *, scanner: Path) -> dict[str, Any]:
    """Return a CycloneDX 1.6 document of the Python distributions in the image, as they are installed there.

    `scanner` is `cyclonedx-py`; it reads the image's environment from outside, for it is not part of it.

    Raises:
        EngineError: The scanner is missing or failed.
    """
    with tempfile.TemporaryDirectory(prefix="marketplace-sbom-") as folder:
        container = engine.run("create", "--network=none", image).strip()
        try:
            engine.run("cp", f"{container}:{ENVIRONMENT}", folder)
        finally:
            engine.attempt("rm", "--force", container)
        packages = next((Path(folder) / "marketplace" / "lib").glob("python3.*/site-packages"), None)
        if packages is None:
            raise EngineError(f"{image} has no environment in {ENVIRONMENT}")
        document = json.loads(scan(scanner, packages))
    document["metadata"]["component"] = {"type": "container", "name": image, "bom-ref": "image"}
    return dict(document)


def scan(scanner: Path, packages: Path) -> str:
    """Return what the scanner tells of a folder of installed distributions.

    It asks an interpreter for `sys.path`; this one answers with that folder alone.
    """
    stand_in = packages.parent / "python-of-image"
    stand_in.write_text(f"#!/bin/sh\nprintf '%s\\n' '{json.dumps([str(packages)])}'\n")
    stand_in.chmod(0o755)
    return run_program(
        [scanner, "environment", "--spec-version=1.6", "--output-format=JSON", "--output-reproducible", stand_in],
        seconds=120,
    )
