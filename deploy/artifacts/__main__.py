"""Write every generated file, and print its path; `make artifacts` runs this."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.artifacts.files import write_files

if __name__ == "__main__":
    for path in write_files(Path(__file__).resolve().parents[2]):
        sys.stdout.write(f"{path}\n")
