"""The dashboards of this product, and how a name on the command line finds one."""

from __future__ import annotations

from pathlib import Path

from app.domain.errors import NotFoundError

#: Where the generated dashboards are, in the repository and in the wheel.
FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"


def dashboard_files(folder: Path = FOLDER) -> list[Path]:
    """Return the files of all dashboards, by name."""
    return sorted(folder.glob("*.json"))


def named_file(text: str, folder: Path = FOLDER) -> Path:
    """Return the file of a dashboard: a path to a file, else the name of one of ours.

    Raises:
        NotFoundError: There is none; the text lists those that there are.
    """
    path = Path(text)
    if path.suffix == ".json" or path.is_file():
        if path.is_file():
            return path
        raise NotFoundError(f"there is no file {text}")
    found = folder / f"{text}.json"
    if "/" in text or not found.is_file():
        names = ", ".join(file.stem for file in dashboard_files(folder)) or "none"
        raise NotFoundError(f"there is no dashboard {text!r}; there are: {names}")
    return found
