"""Entry of the web process: `gunicorn 'app.wsgi:create()'`, which `marketplace web` runs."""

from __future__ import annotations

import atexit

import structlog
from flask import Flask

from app.api.application import create_app
from app.logs import configure_logs
from app.settings import load_settings
from app.web_runtime import build_web_runtime


def create() -> Flask:
    """Return the application, as the environment configures it.

    Raises:
        ConfigurationError: The settings or the list of agents cannot be used.
    """
    settings = load_settings()
    configure_logs(settings.log)
    runtime = build_web_runtime(settings)
    atexit.register(runtime.close)
    app = create_app(runtime)
    structlog.stdlib.get_logger(__name__).info("web_started", host=settings.web.host, port=settings.web.port)
    return app
