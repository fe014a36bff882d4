"""Text of one PDF, as a process of its own: `python -m app.pdf_text < file > text`.

The parser is given little memory and processor time, and whoever starts it gives it a deadline.
"""

from __future__ import annotations

import io
import logging
import resource
import sys

from pypdf import PdfReader

from app.uploads import MAX_PDF_PAGES, MAX_TEXT, PdfFault

_MEMORY_BYTES = 1_000_000_000
_PROCESSOR_SECONDS = 20


class _RefusedError(Exception):
    def __init__(self, fault: PdfFault) -> None:
        super().__init__(fault.name)
        self.fault = fault


def main() -> int:
    """Read standard input, write standard output; return 0 or a `PdfFault`."""
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS))
    try:
        text = _read(sys.stdin.buffer.read())
    except _RefusedError as refused:
        return refused.fault
    except Exception:  # noqa: BLE001 -- the edge of the process: whatever the parser raises, the file is broken
        return PdfFault.BROKEN
    # A PDF can spell any code point, also those that are no characters.
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return 0


def _read(content: bytes) -> str:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        raise _RefusedError(PdfFault.ENCRYPTED)
    if len(reader.pages) > MAX_PDF_PAGES:
        raise _RefusedError(PdfFault.TOO_MANY_PAGES)
    texts: list[str] = []
    length = 0
    for page in reader.pages:
        texts.append(page.extract_text())
        length += len(texts[-1])
        if length > MAX_TEXT:
            raise _RefusedError(PdfFault.TOO_MUCH_TEXT)
    return "\n\n".join(texts)


if __name__ == "__main__":
    sys.exit(main())
