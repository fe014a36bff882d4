"""The web application, put together from its parts."""

from __future__ import annotations

from importlib.metadata import version

from apiflask import APIFlask

from app.api.access import guard_access
from app.api.analysis import analysis
from app.api.bodies import StrictRequest
from app.api.breakers import breakers
from app.api.dead_letters import dead_letters
from app.api.diagnostics import diagnostics
from app.api.docs import docs
from app.api.health import health
from app.api.job_page import job_page
from app.api.jobs import jobs
from app.api.metrics import metrics
from app.api.mode import mode
from app.api.observation import observe_requests
from app.api.openapi import DESCRIPTION, SECURITY, complete_document
from app.api.plans import plans
from app.api.problems import tell_problems
from app.api.queue_archive import archive
from app.api.queues import queues
from app.api.rate_limits import RateLimits
from app.api.runbooks import runbooks
from app.api.tasks import tasks
from app.api.webhooks import webhooks
from app.api.wiring import give_runtime
from app.settings import WebSettings
from app.web_runtime import WebRuntime

_WORK = (analysis, plans, jobs, tasks, dead_letters)
_OPERATION = (mode, queues, archive, breakers, webhooks, diagnostics, health, metrics)

#: Parts that one multipart body may have.
_MAX_FORM_PARTS = 100


def create_app(runtime: WebRuntime) -> APIFlask:
    """Return the application; it uses the parts of `runtime`, and closes none of them."""
    app = APIFlask(
        "app.api",
        title="Marketplace Resilience",
        version=version("marketplace-resilience"),
        spec_path=None,
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # Flask takes None for "no static files"
    )
    app.request_class = StrictRequest
    _configure(app, runtime.settings.web)
    give_runtime(app, runtime)
    limits = RateLimits(runtime.settings.web, runtime.redis, runtime.gate, namespace=runtime.settings.redis.namespace)
    # The order matters: each of these sees only requests that the ones before it let pass.
    observe_requests(app, runtime.metrics)
    guard_access(app, runtime.tokens, limits.count_failure())
    limits.apply(app)
    tell_problems(app, runtime.metrics)
    for blueprint in (*_WORK, *_OPERATION, docs, runbooks, job_page):
        app.register_blueprint(blueprint)
    complete_document(app, channels=runtime.gateway.channels)
    return app


def _configure(app: APIFlask, settings: WebSettings) -> None:
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider, which this is
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_FORM_PARTS=_MAX_FORM_PARTS,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        DESCRIPTION=DESCRIPTION,
        LICENSE={"name": "MIT", "identifier": "MIT"},
        SERVERS=[{"url": "/"}],
        SECURITY_SCHEMES=SECURITY,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
    )
