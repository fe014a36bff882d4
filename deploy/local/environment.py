"""Environment variables: which ones are ours, what `.env` adds, and what a process of the stack receives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from app.domain.errors import ConfigurationError
from app.settings import COMMAND_NAMES, COMMON_NAMES, PREFIX, known_names


def is_setting(name: str) -> bool:
    """Tell whether a variable configures the product, rightly spelt or not."""
    return name.upper().startswith(PREFIX) or name.removesuffix("_FILE") in COMMON_NAMES


def add_dotenv(path: Path, environment: dict[str, str]) -> None:
    """Add what `.env` sets; what the environment sets itself wins, an empty value means "not set".

    Raises:
        ConfigurationError: The file cannot be read, or has names that are no settings; the text lists them all.
    """
    if not path.is_file():
        return
    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({type(error).__name__})") from None
    settings = {*known_names(), *COMMON_NAMES}
    unknown = [n for n in values if n.removesuffix("_FILE") not in settings and n not in COMMAND_NAMES]
    if unknown:
        raise ConfigurationError("\n".join(f"{path}: {name}: no such setting" for name in unknown))
    for name, value in values.items():
        if value:
            environment.setdefault(name, value)


def system_part(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what every program needs (PATH, HOME, locale, proxies): all but our settings, so no secret of ours."""
    return {name: value for name, value in environment.items() if not is_setting(name)}


def settings_part(environment: Mapping[str, str]) -> dict[str, str]:
    """Return our settings; the names that only the `marketplace` command reads stay with it."""
    return {n: v for n, v in environment.items() if is_setting(n) and n not in COMMAND_NAMES}


def read_dotenv() -> None:
    """Add what `.env` in the current directory sets to the environment of this process; see `add_dotenv`."""
    added = dict(os.environ)
    add_dotenv(Path(".env"), added)
    os.environ.update(added)


def keep_settings(*names: str) -> None:
    """Remove every setting but these from the environment of this process."""
    for name in list(os.environ):
        if is_setting(name) and name not in names:
            del os.environ[name]
