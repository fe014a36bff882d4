"""`marketplace worker`, with Phase 1 jobs that do to their process what the title of their plan says."""

from __future__ import annotations

import os
import signal
import sys
import threading

from dramatiq.worker import _WorkerThread

from app import runtime
from app.job_execution import Finished
from app.job_runs import JobRun
from app.phase_one import PhaseOne
from app.storage.plans import plan_by_id
from worker import main

#: Titles of plans. All others take a tenth of a second, so that a process that dies takes neighbours along.
KILLS_ITS_PROCESS = "kills its process"
ENDS_THE_THREADS = "ends the threads"


class LethalPhaseOne(PhaseOne):
    """The body of `phase1` jobs."""

    def __call__(self, run: JobRun) -> Finished:
        with self._database.read() as connection:
            plan = plan_by_id(connection, run.claim.plan_id)
        if plan is not None and plan.title == KILLS_ITS_PROCESS:
            os.kill(os.getpid(), signal.SIGKILL)
        if plan is not None and plan.title == ENDS_THE_THREADS:
            for thread in threading.enumerate():
                if isinstance(thread, _WorkerThread):
                    thread.stop()
            threading.Event().wait()
        threading.Event().wait(0.1)
        return super().__call__(run)


if __name__ == "__main__":
    vars(runtime)["PhaseOne"] = LethalPhaseOne
    main.worker.main(sys.argv[1:])
