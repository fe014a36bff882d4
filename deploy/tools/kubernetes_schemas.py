"""JSON schemas of Kubernetes' own objects, out of the package kubernetes-validate."""

from __future__ import annotations

import re
from pathlib import Path

from deploy.tools.packages import ToolsError, opened
from deploy.tools.places import KUBERNETES_SCHEMAS, KUBERNETES_VERSIONS


def unpack_kubernetes_schemas(wheels: Path) -> None:
    """Put the definitions of every release of `KUBERNETES_VERSIONS` into its place, from a folder of wheels.

    The strict ones: they refuse a field that Kubernetes does not know, as `kubectl apply` does by default.

    Raises:
        ToolsError: If the package has no schemas of a release.
    """
    KUBERNETES_SCHEMAS.mkdir(parents=True, exist_ok=True)
    with opened(wheels, "kubernetes_validate") as wheel:
        for version in KUBERNETES_VERSIONS:
            pattern = re.compile(rf".*/v{re.escape(version)}\.\d+-local-strict/_definitions\.json")
            found = [name for name in wheel.namelist() if pattern.fullmatch(name)]
            if len(found) != 1:
                raise ToolsError(f"kubernetes-validate has {len(found)} sets of schemas of Kubernetes {version}")
            (KUBERNETES_SCHEMAS / f"{version}.json").write_bytes(wheel.read(found[0]))
