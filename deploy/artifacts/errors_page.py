"""docs/reference/errors.md, from the tree in `app.domain.errors` and the problems of `app.api.problems`."""

from __future__ import annotations

from collections.abc import Iterator

from app.api.problems import KINDS
from app.domain.errors import MarketplaceError, RecoverableError
from deploy.artifacts.markdown import code, first_line, page, table

_INTRODUCTION = """\
A `code` is stable and made for programs; the text beside it is for people and may change."""

_PROBLEMS = """\
## Problems of the API

Every error answer is a problem document (RFC 9457, `application/problem+json`) with one of these codes.
`errors` lists what is wrong with which field, `requestId` finds the request in the log."""

_JOBS = """\
## Errors of jobs

These stand in the history of a job, in logs and in metric labels.
The type of the error alone decides whether a job that meets it is tried again."""


def errors_page() -> str:
    """Return the page."""
    rows = [
        [
            code(error.code),
            "yes" if issubclass(error, RecoverableError) else "no",
            first_line(error.__doc__),
        ]
        for error in _tree(MarketplaceError)
    ]
    problems = [[code(kind.code), str(kind.status.value), f"{kind.title}."] for kind in KINDS.values()]
    return page(
        "Error codes",
        _INTRODUCTION,
        _PROBLEMS,
        table(["Code", "Status", "Meaning"], problems),
        _JOBS,
        table(["Code", "Retried", "Meaning"], rows),
    )


def _tree(error: type[MarketplaceError]) -> Iterator[type[MarketplaceError]]:
    """Yield the error and, below it, its kinds, in the order of the source."""
    yield error
    for kind in error.__subclasses__():
        if kind.__module__ == MarketplaceError.__module__:
            yield from _tree(kind)
