"""Check the Terraform module in a copy of it: format, validity, behaviour; `make terraform` runs this."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_MODULE = Path(__file__).parent / "elasticache"
_EXAMPLE = Path("examples/complete")

#: Where a mirror of providers may be, beside what the environment names. Source for the first five:
#: https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
_USUAL_PLACES = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "~/Library/Application Support/io.terraform/plugins",
    "/opt/*",
)
_PROVIDER = Path("registry.terraform.io/hashicorp/aws")

#: Each command takes a few seconds from a mirror.
_TIMEOUT_SECONDS = 60
#: Without a mirror the provider, some 100 MB, is downloaded.
_DOWNLOAD_TIMEOUT_SECONDS = 300


def find_mirror(environment: Mapping[str, str]) -> Path | None:
    """Return a folder with the provider for AWS, for `terraform init -plugin-dir`; None when there is none."""
    return next(
        (path for path in _candidates(environment) if any((path / _PROVIDER).rglob("terraform-provider-aws*"))), None
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    for name in ("TERRAFORM_PLUGIN_DIR", "TF_PLUGIN_CACHE_DIR"):
        if environment.get(name):
            yield Path(environment[name])
    configuration = Path(environment.get("TF_CLI_CONFIG_FILE") or "~/.terraformrc").expanduser()
    if configuration.is_file():
        named = re.findall(r'(?:\bpath|plugin_cache_dir)\s*=\s*"([^"]+)"', configuration.read_text(encoding="utf-8"))
        yield from (Path(path).expanduser() for path in named)
    for place in _USUAL_PLACES:
        yield from map(Path, sorted(glob.glob(os.path.expanduser(place))))  # noqa: PTH111, PTH207 -- absolute patterns


def commands(mirror: Path | None) -> list[list[str]]:
    """Return the commands that check the module, to be run in a copy of it."""
    init = ["init", "-input=false", "-backend=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else [])]
    example = f"-chdir={_EXAMPLE}"
    return [
        ["fmt", "-check", "-diff", "-recursive", "-no-color"],
        init,
        ["validate", "-no-color"],
        ["test", "-no-color"],
        [example, *init],
        [example, "validate", "-no-color"],
    ]


def run_in_copy(
    terraform: str, steps: Sequence[Sequence[str]], *, module: Path = _MODULE, timeout_seconds: float = _TIMEOUT_SECONDS
) -> tuple[int, str]:
    """Run steps in a copy of a module until one fails; return the last exit code and all they printed.

    Raises:
        subprocess.TimeoutExpired: If a step takes longer.
    """
    printed = []
    # A configuration that the environment names but that is not there stops Terraform, and data of another
    # working folder does not belong into the copy.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment["CHECKPOINT_DISABLE"] = "1"
    with tempfile.TemporaryDirectory(prefix="terraform-") as folder:
        copy = Path(folder) / "module"
        shutil.copytree(module, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        for step in steps:
            result = subprocess.run(  # noqa: S603 -- our own arguments
                [terraform, *step],
                cwd=copy,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
            printed.append(f"$ terraform {' '.join(step)}\n{result.stdout}")
            if result.returncode != 0:
                return result.returncode, "\n".join(printed)
    return 0, "\n".join(printed)


def main() -> int:
    """Check the module and print what Terraform says; return its exit code, 2 without Terraform."""
    terraform = shutil.which("terraform")
    if terraform is None:
        sys.stderr.write("terraform: not found on the PATH; https://developer.hashicorp.com/terraform/install\n")
        return 2
    mirror = find_mirror(os.environ)
    seconds = _TIMEOUT_SECONDS if mirror else _DOWNLOAD_TIMEOUT_SECONDS
    code, printed = run_in_copy(terraform, commands(mirror), timeout_seconds=seconds)
    sys.stdout.write(printed)
    return code


if __name__ == "__main__":
    sys.exit(main())
