"""Terraform with the provider for AWS, which no package of Debian or PyPI brings: what needs it may be skipped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from deploy.terraform.check import find_mirror
from tests.skips import NO_PACKAGE


def terraform_and_mirror() -> tuple[str, Path]:
    """Return the program and the folder with its provider; without them the test is skipped by name, in CI too."""
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip(f"{NO_PACKAGE}terraform")
    mirror = find_mirror(os.environ)
    if mirror is None:
        pytest.skip(f"{NO_PACKAGE}Terraform's provider for AWS, in a mirror")
    return terraform, mirror
