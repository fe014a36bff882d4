"""Write every generated file, and print its path; `make artifacts` runs this."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.artifacts.files import FILES


def write_files(root: Path) -> list[Path]:
    """Write the generated files of the repository at `root`; return their paths within it."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text(), encoding="utf-8")
    return [Path(name) for name in FILES]


if __name__ == "__main__":
    for path in write_files(Path(__file__).resolve().parents[2]):
        sys.stdout.write(f"{path}\n")
