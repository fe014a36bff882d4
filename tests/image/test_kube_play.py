from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.containers import built_image
from tests.kube_play.installation import Installation, installed
from tests.kube_play.story import (
    approve,
    broken_rules,
    completed,
    hardening,
    jobs_seen,
    stop_worker_during_job,
    targets,
    tasks_of,
    wait_for_targets,
)

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Yield the chart as it is rendered for a trial, with one pod of each role."""
    engine, _ = built_image()
    replicas = {role: {"replicas": 1} for role in ("web", "scheduler")}
    with installed(engine, {"demo": {"enabled": True}, **replicas}) as installation:
        yield installation


def test_the_rendered_chart_runs_and_survives_the_death_of_a_worker(installation: Installation) -> None:
    # One test, for the pods take longer to start than all that is asked of them.
    assert hardening(installation) == {}
    assert all("grafana" in image for image in installation.left_out)
    job = completed(installation, approve(installation), seconds=30)
    assert len(tasks_of(installation, job)) == 3
    job, _ = stop_worker_during_job(installation, signal.SIGTERM)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["completed"]
    job, _ = stop_worker_during_job(installation, signal.SIGKILL)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["lost", "completed"]
    titles = tasks_of(installation, job)
    assert len(titles) == len(set(titles)) == 3
    wait_for_targets(installation)
    assert {"marketplace-web", "marketplace-worker", "marketplace-scheduler", "marketplace-relay"} <= set(
        targets(installation)
    )
    rules, broken = broken_rules(installation)
    assert rules > 50
    assert broken == []
    assert jobs_seen(installation) >= 1
