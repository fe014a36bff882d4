"""Where views find the parts that they call."""

from __future__ import annotations

from flask import Flask, current_app

from app.web_runtime import WebRuntime

_KEY = "marketplace"


def give_runtime(app: Flask, runtime: WebRuntime) -> None:
    """Let the views of this app use these parts."""
    app.extensions[_KEY] = runtime


def runtime() -> WebRuntime:
    """Return the parts that the present app was given."""
    return runtime_of(current_app)


def runtime_of(app: Flask) -> WebRuntime:
    """Return the parts that this app was given."""
    found = app.extensions[_KEY]
    assert isinstance(found, WebRuntime)  # noqa: S101 -- what `give_runtime` has put there
    return found
