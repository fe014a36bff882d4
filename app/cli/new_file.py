"""A file that appears under its name when it is complete, and not before.

click's `atomic=True` is not that: it gives the file its name after an exception too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TextIO

import click


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[TextIO]:
    """Yield a text file, readable by its owner only; on any exception nothing is left of it.

    Raises:
        click.UsageError: There is a file of this name, and it is not to be replaced.
        click.FileError: It cannot be written.
    """
    if path.exists() and not replace:
        raise _taken(path)
    draft = None
    try:
        draft = NamedTemporaryFile(  # noqa: SIM115 -- it outlives the block that writes it, to get its name
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        )
        with draft:
            yield draft  # type: ignore[misc]  # typeshed's wrapper of a text file
            draft.flush()
            os.fsync(draft.fileno())
        # Unlike a replacement, a link fails when a file of this name has appeared meanwhile.
        (os.replace if replace else os.link)(draft.name, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise click.FileError(str(path), error.strerror or str(error)) from error
    finally:
        if draft is not None:
            Path(draft.name).unlink(missing_ok=True)


def _taken(path: Path) -> click.UsageError:
    return click.UsageError(f"{path} exists already: choose another name, or replace it with --force")
