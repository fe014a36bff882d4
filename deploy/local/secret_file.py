"""Secrets of a local stack: made at its first start, kept in files that only their owner reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import ConfigurationError


def kept_secret(file: Path, make: Callable[[], str]) -> str:
    """Return the secret in the file, which is made if it is not there.

    Raises:
        ConfigurationError: The file cannot be read or written.
    """
    try:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        secret = make()
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(secret + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be used ({type(error).__name__})") from None
    return secret
