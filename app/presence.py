"""Presence of a process: a lock file that the operating system frees when the process dies, however it dies.

Whoever finds a file that nobody locks knows at once that its owner is dead, and gives back what it held, without
waiting for its leases. Processes of one host share the directory, and so do the containers of one pod that mount it. A
frozen process still holds its lock; the time of its file tells when it was last well.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url

from app.domain.processes import ProcessRole

_log = structlog.stdlib.get_logger(__name__)

_SUFFIX = ".lock"


def presence_directory(given: Path | None, database_url: str) -> Path:
    """Return the directory that is given, else one of this user's for all processes that share this database."""
    if given is not None:
        return given.resolve()
    digest = hashlib.sha256(_place(database_url).encode()).hexdigest()[:16]
    # One level, not two: the sticky bit of the directory above keeps others from moving ours away.
    return Path(tempfile.gettempdir()) / f"marketplace-{os.geteuid()}-{digest}"


class Presence:
    """This process's place in the directory; `owner` names it in leases and histories. Safe to use from many threads.

    A directory that cannot be used is told in the log, and no more: leases run out by themselves.
    """

    def __init__(self, role: ProcessRole, directory: Path) -> None:
        self.role = role
        self.directory = directory
        self.owner = f"{role}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._guard = threading.Lock()
        self._descriptor: int | None = None

    def enter(self) -> None:
        """Show this process to the others of its host."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self.directory):
                raise PermissionError(0, "the directory belongs to somebody else")
            self._descriptor = self._create_locked()
        except OSError as error:
            _log.warning("presence_not_shown", directory=str(self.directory), reason=error.strerror)

    def beat(self) -> None:
        """Show that this process is well."""
        with self._guard, contextlib.suppress(OSError):
            if self._descriptor is not None:
                os.utime(self._descriptor)

    def leave(self) -> None:
        """Take this process's file away: it holds nothing any more."""
        with self._guard:
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
                os.close(self._descriptor)
                self._descriptor = None

    @property
    def _path(self) -> Path:
        return self.directory / f"{self.owner}{_SUFFIX}"

    def _create_locked(self) -> int:
        unlocked = self._path.with_suffix(".new")
        descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Others see the file only now: one without a lock would look dead.
            unlocked.rename(self._path)
        except OSError:
            os.close(descriptor)
            unlocked.unlink(missing_ok=True)
            raise
        return descriptor


@contextmanager
def dead_owners(directory: Path) -> Iterator[Sequence[str]]:
    """Yield the owners whose process is dead; their files are removed when the body has ended well.

    Several processes may look at once: each dead owner is yielded to one of them at a time.
    """
    with contextlib.ExitStack() as held:
        found = {}
        for path in _files(directory):
            with contextlib.suppress(OSError):  # locked by the living, or removed meanwhile
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found[path] = path.name.removesuffix(_SUFFIX)
        yield list(found.values())
        for path in found:
            with contextlib.suppress(OSError):
                path.unlink()


def last_beats(directory: Path) -> Mapping[int, int]:
    """Return when each process that shows itself was last well, by process id: nanoseconds of the file system's clock.

    A process that died may still be among them.
    """
    beats: dict[int, int] = {}
    for path in _files(directory):
        with contextlib.suppress(OSError, ValueError, IndexError):  # removed meanwhile, or not one of ours
            process_id = int(path.name.split(":")[1])
            beats[process_id] = max(path.stat().st_mtime_ns, beats.get(process_id, 0))
    return beats


def _files(directory: Path) -> list[Path]:
    """Return the files of the processes; those in a directory that somebody else could have made prove nothing."""
    try:
        return sorted(directory.glob(f"*{_SUFFIX}")) if _is_ours(directory) else []
    except OSError:
        return []


def _is_ours(directory: Path) -> bool:
    """Tell whether the directory is this user's, or the system's: volumes of Kubernetes belong to root."""
    found = directory.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid in {os.geteuid(), 0}


def _place(database_url: str) -> str:
    """Return where the database is, the same for all that use it: a file by its absolute path, no password."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return str(Path(url.database or "").resolve())
    return url.render_as_string(hide_password=True)
