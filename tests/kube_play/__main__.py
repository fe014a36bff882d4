"""`make kube-play`: the rendered chart runs in podman; a plan is approved, workers die, Prometheus looks on."""

from __future__ import annotations

import signal
import sys
import time

import click

from deploy.tools.places import find_helm
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

VALUES = {"demo": {"enabled": True}}


def main() -> int:
    """Print the report; return 1 when anything is not as it must be, or Helm is missing."""
    if find_helm("4") is None:
        click.echo("Helm 4 is not installed: run `make tools`", err=True)
        return 1
    started = time.monotonic()
    engine, image = built_image()
    click.echo(f"image {image} and its base: {time.monotonic() - started:.0f} s")
    started = time.monotonic()
    with installed(engine, VALUES) as installation:
        click.echo(
            f"{len(installation.pods)} pods, ready after {time.monotonic() - started:.0f} s at {installation.url}"
        )
        click.echo(f"left out, for there is no stand-in: {', '.join(installation.left_out) or 'nothing'}")
        wrong = [*_hardening(installation), *_jobs(installation), *_monitoring(installation)]
    click.echo("\n".join(f"WRONG: {text}" for text in wrong) or "all as it must be")
    return 1 if wrong else 0


def _hardening(installation: Installation) -> list[str]:
    wrong = hardening(installation)
    click.echo(f"read-only root, no root, no capability, no new privileges: {len(installation.pods) - len(wrong)} pods")
    return [f"{name}: {text}" for name, text in wrong.items()]


def _jobs(installation: Installation) -> list[str]:
    wrong = []
    started = time.monotonic()
    job = completed(installation, approve(installation), seconds=30)
    click.echo(f"a plan was approved and completed in {time.monotonic() - started:.1f} s")
    for number, attempts in ((signal.SIGTERM, 1), (signal.SIGKILL, 2)):
        job, seconds = stop_worker_during_job(installation, number)
        titles = tasks_of(installation, job)
        click.echo(
            f"{number.name} to the worker during a job: completed {seconds:.1f} s later, "
            f"attempts {', '.join(attempt['outcome'] for attempt in job['attempts'])}; {len(titles)} tasks"
        )
        if len(job["attempts"]) != attempts or len(titles) != len(set(titles)) or not titles:
            wrong.append(f"{number.name}: {job['attempts']}, tasks {titles}")
    return wrong


def _monitoring(installation: Installation) -> list[str]:
    wait_for_targets(installation)
    found = targets(installation)
    rules, broken = broken_rules(installation)
    seen = jobs_seen(installation)
    listed = ", ".join(f"{job} {len(states)}" for job, states in sorted(found.items()))
    click.echo(f"Prometheus: targets {listed}, all up;")
    click.echo(f"  {rules} rules, {len(broken)} with an error; it has counted {seen:.0f} attempts of jobs")
    return [*(f"rule {name}" for name in broken), *([] if seen else ["no attempt was counted"])]


if __name__ == "__main__":
    sys.exit(main())
