"""Write every generated file, and print its path; `make artifacts` runs this."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.artifacts.pages import PAGES


def write_pages(root: Path) -> list[Path]:
    """Write the pages under docs/reference/ of the repository at `root`; return their paths within it."""
    folder = Path("docs") / "reference"
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (root / folder / name).write_text(page(), encoding="utf-8")
    return [folder / name for name in PAGES]


if __name__ == "__main__":
    for path in write_pages(Path(__file__).resolve().parents[2]):
        sys.stdout.write(f"{path}\n")
