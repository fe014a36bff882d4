"""Entry of the web process: `gunicorn 'app.wsgi:create()'`, which `marketplace web` runs."""

from __future__ import annotations

import atexit
import threading

import structlog
from flask import Flask

from app.api.application import create_app
from app.domain.processes import ProcessRole
from app.failpoints import FAILPOINT_VARIABLE, arm_failpoints
from app.logs import configure_logs
from app.schema_wait import wait_for_schema
from app.settings import load_settings
from app.web_runtime import WebRuntime, build_web_runtime


def create() -> Flask:
    """Return the application, as the environment configures it.

    Raises:
        ConfigurationError: The settings or the list of agents cannot be used.
    """
    settings = load_settings(ignoring=FAILPOINT_VARIABLE)
    configure_logs(settings.log)
    arm_failpoints(ProcessRole.WEB)
    runtime = build_web_runtime(settings)
    atexit.register(runtime.close)
    app = create_app(runtime)
    # In a thread of its own: until the database is migrated, the API answers that it is not ready.
    threading.Thread(target=_join, args=(runtime,), name="join", daemon=True).start()
    structlog.stdlib.get_logger(__name__).info("web_started", host=settings.web.host, port=settings.web.port)
    return app


def _join(runtime: WebRuntime) -> None:
    runtime.breakers.start()
    never = threading.Event()
    if wait_for_schema(runtime.database, never):
        runtime.bootstrap_token.keep(never)
        runtime.membership.join(is_well=lambda: True)
