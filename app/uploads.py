"""Text of uploaded files. Their content is hostile until shown otherwise, whatever name it bears."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import PurePath

from app.domain.errors import InvalidInputError, MalformedInputError, RateLimitedError
from app.domain.strict_json import read_json

#: Characters of text that one upload, or the context of one request, may bring.
MAX_TEXT = 200_000

MAX_PDF_PAGES = 200

#: A PDF can keep a parser busy for ever, so it is read in a process of its own, two at a time.
_PDF_SECONDS = 15.0
_PDF_WAIT_SECONDS = 5.0
_pdf_places = threading.BoundedSemaphore(2)

_PDF_MAGIC = b"%PDF-"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class PdfFault(IntEnum):
    """Exit codes of `app.pdf_text` that say why a PDF was refused; every other one but 0 means `BROKEN`."""

    BROKEN = 10
    ENCRYPTED = 11
    TOO_MANY_PAGES = 12
    TOO_MUCH_TEXT = 13


def extract_text(file_name: str, content: bytes) -> str:
    """Return the text of a txt, md, csv, json or pdf file, at most `MAX_TEXT` characters.

    Raises:
        InvalidInputError: The file is of another kind, damaged, encrypted, empty or too long; the field is `file`.
        RateLimitedError: Too many PDF files are being read right now.
    """
    suffix = PurePath(file_name).suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise _refused(f"must be one of {', '.join(sorted(_READERS))} by its name")
    if (suffix == ".pdf") != content.startswith(_PDF_MAGIC):
        raise _refused("is not what its name says")
    text = reader(content)
    if not text.strip():
        raise _refused("has no text")
    if len(text) > MAX_TEXT:
        raise _refused(f"has {len(text)} characters of text, more than {MAX_TEXT}")
    return text


def _plain_text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedInputError("file", f"is not UTF-8 (byte {error.start})") from None
    if _CONTROL.search(text):
        raise _refused("holds control characters: it is not text")
    return text


def _csv(content: bytes) -> str:
    text = _plain_text(content)
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), strict=True):
            pass
    except csv.Error as error:
        raise MalformedInputError("file", f"is not CSV: {error}") from None
    return text


def _json(content: bytes) -> str:
    text = _plain_text(content)
    try:
        read_json(text.encode(), place="document")
    except InvalidInputError as error:
        raise type(error)("file", f"is not sound JSON: {error}") from None
    return text


def _pdf(content: bytes) -> str:
    if not _pdf_places.acquire(timeout=_PDF_WAIT_SECONDS):
        raise RateLimitedError("other PDF files are being read: try again", retry_after_seconds=_PDF_SECONDS)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "app.pdf_text"],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PDF_SECONDS,
            # Nothing of ours that a defect of the parser could give away.
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refused(f"takes longer than {_PDF_SECONDS:.0f} s to read") from None
    finally:
        _pdf_places.release()
    if done.returncode == 0:
        return _CONTROL.sub(" ", done.stdout.decode("utf-8"))
    faults = {fault.value: fault for fault in PdfFault}
    raise _refused(_PDF_FAULTS[faults.get(done.returncode, PdfFault.BROKEN)])


_PDF_FAULTS = {
    PdfFault.BROKEN: "is damaged, or takes too much memory to read",
    PdfFault.ENCRYPTED: "is encrypted",
    PdfFault.TOO_MANY_PAGES: f"has more than {MAX_PDF_PAGES} pages",
    PdfFault.TOO_MUCH_TEXT: f"has more than {MAX_TEXT} characters of text",
}

_READERS: dict[str, Callable[[bytes], str]] = {
    ".txt": _plain_text,
    ".md": _plain_text,
    ".csv": _csv,
    ".json": _json,
    ".pdf": _pdf,
}


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError("file", message)
