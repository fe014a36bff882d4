"""Make the secrets of deploy/compose.yaml, each once: python -m deploy.compose.secret_files [DIRECTORY]."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from app.tokens import new_token
from deploy.local.alert_path import new_events_secret

#: Where compose.yaml looks for them when SECRETS_DIR is not set.
DIRECTORY = Path(__file__).resolve().parents[1] / "secrets"

_SECRET_BYTES = 32


def _random() -> str:
    return secrets.token_hex(_SECRET_BYTES)


#: The files, and what makes the text of each; empty is what only you know.
SECRET_FILES: Mapping[str, Callable[[], str]] = {
    "postgresql-password": _random,
    "valkey-password": _random,
    "relay-events-secret": new_events_secret,
    "alertmanager-token": _random,
    "admin-token": new_token,
    "grafana-password": _random,
    "slack-webhook-url": str,
}


def make_secrets(directory: Path) -> list[str]:
    """Make the files that are missing; return their names. What is there stays as it is.

    The directory is for its owner alone. The files in it are for everybody, for that is what keeps them: a container
    gets a file without the directory, and reads it under a user that is not yours.

    Raises:
        OSError: A file cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return [name for name, make in SECRET_FILES.items() if _made(directory / name, make)]


def _made(file: Path, make: Callable[[], str]) -> bool:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(make())
        # Whatever the umask is: the users of the containers are others.
        os.fchmod(descriptor, 0o644)
    return True


def main() -> int:
    """Make the files and tell which; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.secret_files", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=DIRECTORY, help="where (default: %(default)s)")
    directory: Path = parser.parse_args().directory
    try:
        made = make_secrets(directory)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: cannot be written ({error.strerror})\n")
        return 1
    kept = [name for name in SECRET_FILES if name not in made]
    for words, names in (("made", made), ("kept", kept)):
        if names:
            sys.stdout.write(f"{words} in {directory}: {', '.join(names)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
