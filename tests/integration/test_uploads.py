"""Text of files; a PDF is read in a process of its own, as in production."""

from __future__ import annotations

import subprocess
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfWriter

from app import uploads
from app.domain.errors import InvalidInputError, RateLimitedError
from tests.pdf import pdf_saying


def blank_pdf(pages: int) -> bytes:
    """Return a PDF of so many empty pages."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    content = BytesIO()
    writer.write(content)
    return content.getvalue()


def test_a_pdf_gives_its_text() -> None:
    assert uploads.extract_text("Plan.PDF", pdf_saying("Winter boots")).strip() == "Winter boots"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (blank_pdf(201), "more than 200 pages"),
        (blank_pdf(1), "has no text"),
        (pdf_saying("a" * 200_001), "more than 200000 characters"),
        (b"%PDF-1.7 " + bytes(range(256)) * 1000, "is damaged"),
        (pdf_saying("x")[:-200], "is damaged"),
    ],
    ids=["pages", "no text", "text", "noise", "cut off"],
)
def test_a_pdf_that_cannot_be_used_says_why(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        uploads.extract_text("a.pdf", content)
    assert caught.value.field == "file"


def test_a_pdf_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_PDF_SECONDS", 0.01)
    with pytest.raises(InvalidInputError, match="takes longer"):
        uploads.extract_text("a.pdf", pdf_saying("Winter"))


def test_no_more_than_two_pdfs_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_PDF_WAIT_SECONDS", 0.01)
    with uploads._pdf_places, uploads._pdf_places, pytest.raises(RateLimitedError):
        uploads.extract_text("a.pdf", pdf_saying("Winter"))
    assert uploads.extract_text("a.pdf", pdf_saying("Winter")).strip() == "Winter"


def test_the_process_that_reads_a_pdf_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    run = subprocess.run

    def watched(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        seen.update(options)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", watched)
    uploads.extract_text("a.pdf", pdf_saying("Winter"))
    assert seen["env"] == {}
