"""Where `make tools` puts what it brings, and where tests look for it."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

Major = Literal["3", "4"]

#: Ignored by Git; `make clean` spares it, because filling it again takes a download of 130 MB.
TOOLS = Path(__file__).parents[2] / ".cache" / "tools"
#: The releases that the chart is tested with, by major version: what the packages in requirements/tools.lock hold.
HELM_VERSIONS: dict[Major, str] = {"3": "3.17.3", "4": "4.2.3"}
#: The releases of Kubernetes that the chart is tested with: the oldest and the newest that it takes, and two between.
KUBERNETES_VERSIONS = ("1.27", "1.30", "1.34", "1.36")
#: JSON schemas of Kubernetes' own objects, one file per release: `1.30.json`.
KUBERNETES_SCHEMAS = TOOLS / "kubernetes-schemas"
#: JSON schemas of custom resources, one file per API group and version: `keda.sh_v1alpha1.json`.
CUSTOM_SCHEMAS = TOOLS / "custom-schemas"
#: The judge of Containerfiles.
HADOLINT_VERSION = "2.15.1"
HADOLINT = TOOLS / "bin" / "hadolint"
#: Docker Compose of today; Debian 12 has 1.29, and the compose file is for both.
COMPOSE_VERSION = "5.6.1"
COMPOSE = TOOLS / "bin" / "docker-compose"


def helm_place(major: Major) -> Path:
    """Return where `make tools` puts Helm of this major version."""
    return TOOLS / "bin" / f"helm-{HELM_VERSIONS[major]}"


@cache
def find_helm(major: Major) -> Path | None:
    """Return a Helm of this major version: the one of `make tools`, or else the machine's own when it is one."""
    place = helm_place(major)
    if place.is_file():
        return place
    # The packages hold programs for Linux on x86-64 only: on other machines the user's own Helm does.
    own = shutil.which("helm")
    return Path(own) if own is not None and _major_of(own) == major else None


def find_hadolint() -> Path | None:
    """Return hadolint: the one of `make tools`, or else the machine's own."""
    own = shutil.which("hadolint")
    return HADOLINT if HADOLINT.is_file() else Path(own) if own is not None else None


def _major_of(helm: str) -> str | None:
    answer = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - the helm of the user's own PATH
    found = re.match(r"v(\d+)\.", answer.stdout)
    return found[1] if found else None
