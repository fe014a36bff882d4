"""How many jobs of each kind a process runs at the same time."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.jobs import JobKind
from app.domain.processes import ProcessRole
from app.settings import Settings


def job_threads(settings: Settings, role: ProcessRole) -> Mapping[JobKind, int]:
    """Return the number for each kind of job that processes of this role run; 0 where the settings turn it off."""
    worker, scheduler = settings.worker, settings.scheduler
    match role:
        case ProcessRole.WEB:
            return {JobKind.PHASE1: settings.web.in_place_runs}
        case ProcessRole.SCHEDULER:
            return {
                JobKind.PHASE1: scheduler.fallback_phase1_runs,
                JobKind.ANALYSIS: scheduler.fallback_analysis_runs,
            }
        case ProcessRole.WORKER:
            return {JobKind.PHASE1: worker.phase1_threads, JobKind.ANALYSIS: worker.analysis_threads}
        case ProcessRole.QUARANTINE:
            # One group of threads takes both kinds.
            return dict.fromkeys(JobKind, worker.phase1_threads + worker.analysis_threads)
