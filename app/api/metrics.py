"""Metrics of this process and levels of the whole, for Prometheus."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, request
from prometheus_client.exposition import choose_encoder

from app.api.operation import operation
from app.api.wiring import runtime

metrics = APIBlueprint("metrics", __name__, url_prefix="/api/metrics")


@operation(metrics, "GET", "", access="public", answers={200: ("text/plain", "application/openmetrics-text")})
def tell_metrics() -> Response:
    """Tell all metrics as Prometheus text, or as OpenMetrics when `Accept` asks for it."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(runtime().metrics.registry), content_type=content_type)
