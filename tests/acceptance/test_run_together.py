"""The stack of `marketplace run`, whose processes count into one directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.shared_metrics import DIRECTORY_VARIABLE
from tests.pipeline import PLAN
from tests.servers import wait_until
from tests.stacks import approve, import_plan, running_stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def told(url: str, name: str) -> float:
    """Return the sum of the samples of this name."""
    families = text_string_to_metric_families(requests.get(url, timeout=20).text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_any_endpoint_tells_the_sum_and_nothing_of_the_run_before(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    (directory / "counter_1.db").write_bytes(b"of the run before")
    with running_stack(tmp_path, **{DIRECTORY_VARIABLE: str(directory)}) as stack:
        assert not (directory / "counter_1.db").exists()
        approve(stack.api, import_plan(stack.api, "Shoes", "amazon", PLAN))
        facts = stack.facts
        urls = [facts["urls"]["metrics"], *facts["workerMetrics"], *facts["schedulerMetrics"]]
        # The web process counts the first, a worker the second.
        for name in ("marketplace_jobs_enqueued_total", "marketplace_job_completion_seconds_count"):
            for url in urls:
                wait_until(lambda name=name, url=url: told(url, name) == 1, what=f"{name} at {url}")  # type: ignore[misc]
