"""The supervisor with tiny programs, driven as a process of its own, so that it can be killed."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import ended, wait_until
from tests.stacks import lives

pytestmark = pytest.mark.process

#: Takes programs as JSON and a folder; writes `pids.json` whenever processes have been started.
DRIVER = """
import json, os, sys, time
from pathlib import Path
from deploy.local.child import Program
from deploy.local.supervisor import StackError, StopRequest, Supervisor, signals_to

plan, folder = json.loads(sys.argv[1]), Path(sys.argv[2])

def program(name, code, stop_seconds=5.0, once=False):
    ready = (folder / f"{name}.ready").exists if "ready(" in code else lambda: True
    return Program(name, (sys.executable, "-S", "-c", plan["prelude"] + code, str(folder), name), dict(os.environ),
                   is_ready=ready, stop_seconds=stop_seconds, once=once)

def write():
    (folder / "pids.new").write_text(json.dumps(supervisor.pids()))
    (folder / "pids.new").replace(folder / "pids.json")

request = StopRequest()
supervisor = Supervisor([program(**p) for p in plan["programs"]], plan["stop_order"], logs=folder,
                        processes=folder / "processes", request=request,
                        say=lambda text: print(text, flush=True), on_change=write,
                        clock=lambda: plan["speed"] * time.monotonic())
with signals_to(request):
    try:
        supervisor.run(write)
    except StackError as error:
        sys.exit(str(error))
"""

PRELUDE = """
import os, signal, subprocess, sys, time
folder, name = sys.argv[1:3]
def note(text):
    with open(f"{folder}/events", "a") as events: events.write(f"{name} {text}\\n")
def ready():
    open(f"{folder}/{name}.ready", "w").close()
def on_term(code):
    signal.signal(signal.SIGTERM, lambda *_: (note("term"), sys.exit(code)))
def beat_for_ever():
    os.makedirs(f"{folder}/processes", exist_ok=True)
    path = f"{folder}/processes/{name}@host:{os.getpid()}:ab.lock"
    open(path, "w").close()
    while True: os.utime(path); time.sleep(0.05)
"""

#: Lives until SIGTERM, and notes it.
STEADY = "on_term(0); note('start'); ready(); time.sleep(600)"


class Driven:
    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process

    def pids(self) -> dict[str, int]:
        path = self.folder / "pids.json"
        wait_until(path.exists, what="the programs to run")
        return dict(json.loads(path.read_text()))

    def events(self) -> list[str]:
        path = self.folder / "events"
        return path.read_text().splitlines() if path.exists() else []

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def wait(self) -> int:
        return self.process.wait(30)


@contextmanager
def driven(
    folder: Path, programs: list[dict[str, Any]], stop_order: list[str], *, speed: float = 1.0
) -> Iterator[Driven]:
    """Run the driver; its clock is `speed` times as fast as the real one."""
    plan = {"prelude": PRELUDE, "programs": programs, "stop_order": stop_order, "speed": speed}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(plan), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        with ended(process):
            yield Driven(folder, process)


def test_the_stack_is_ready_when_every_program_is(tmp_path: Path) -> None:
    slow = "on_term(0); time.sleep(0.3); note('start'); ready(); time.sleep(600)"
    programs: list[dict[str, Any]] = [
        {"name": "prepare", "code": "time.sleep(0.3); note('done')", "once": True},
        {"name": "slow", "code": slow},
        {"name": "quick", "code": STEADY},
    ]
    with driven(tmp_path, programs, ["quick", "slow"]) as stack:
        stack.pids()
        assert sorted(stack.events()) == ["prepare done", "quick start", "slow start"]


def test_a_program_that_fails_at_the_start_stops_everything_and_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = (
        "while not os.path.exists(f'{folder}/first.ready'): time.sleep(0.01)\n"
        "print('\\n'.join(f'line {n}' for n in range(30)), flush=True); sys.exit(3); ready()"
    )
    programs = [{"name": "first", "code": STEADY}, {"name": "broken", "code": broken}]
    with driven(tmp_path, programs, ["broken", "first"]) as stack:
        assert stack.wait() == 1
        assert "broken ended with code 3" in stack.output()
        assert "  line 10\n" in stack.output()
        assert "  line 9\n" not in stack.output()
        assert stack.events() == ["first start", "first term"]


def test_programs_stop_one_after_the_other_in_the_order_given(tmp_path: Path) -> None:
    programs = [{"name": name, "code": STEADY} for name in ("valkey", "web", "worker")]
    with driven(tmp_path, programs, ["web", "worker", "valkey"]) as stack:
        stack.pids()
        stack.process.send_signal(signal.SIGINT)
        assert stack.wait() == 0
        assert stack.events()[3:] == ["web term", "worker term", "valkey term"]
        assert "stopped in " in stack.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_each_of_the_signals_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"]) as stack:
        pids = stack.pids()
        stack.process.send_signal(number)
        assert stack.wait() == 0
        assert not any(lives(pid) for pid in pids.values())


def test_ctrl_c_in_the_terminal_reaches_the_supervisor_only(tmp_path: Path) -> None:
    code = "signal.signal(signal.SIGINT, lambda *_: note('int'));" + STEADY
    with driven(tmp_path, [{"name": "web", "code": code}], ["web"]) as stack:
        pids = stack.pids()
        assert os.getpgid(pids["web"]) == pids["web"]
        assert os.getpgid(pids["guard"]) == pids["guard"]


def test_the_second_signal_kills_at_once(tmp_path: Path) -> None:
    stubborn = "signal.signal(signal.SIGTERM, lambda *_: note('term')); ready()\nwhile True: time.sleep(600)"
    programs = [{"name": "web", "code": stubborn, "stop_seconds": 60.0}]
    with driven(tmp_path, programs, ["web"]) as stack:
        pids = stack.pids()
        stack.process.send_signal(signal.SIGINT)
        wait_until(lambda: "web term" in stack.events(), what="the first signal to arrive")
        stack.process.send_signal(signal.SIGINT)
        assert stack.wait() == 0
        assert not lives(pids["web"])


def test_a_program_that_does_not_stop_in_time_is_killed_and_named(tmp_path: Path) -> None:
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(600)"
    programs = [{"name": "web", "code": stubborn, "stop_seconds": 0.3}]
    with driven(tmp_path, programs, ["web"]) as stack:
        pids = stack.pids()
        stack.process.send_signal(signal.SIGTERM)
        assert stack.wait() == 0
        assert "web did not stop within 0 s and is killed" in stack.output()
        assert not lives(pids["web"])


def settle(started: float, speed: float) -> None:
    """Wait until a process that was started at `started` has lived for 3 s of a clock that is so fast."""
    wait_until(lambda: (time.monotonic() - started) * speed > 3.5, what="the process to settle")


def test_a_program_that_had_settled_is_restarted_at_once_and_that_is_said(tmp_path: Path) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"], speed=5.0) as stack:
        before = stack.pids()["web"]
        settle(time.monotonic(), 5.0)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: stack.pids()["web"] != before, what="the restart")
        assert "web killed by SIGKILL: restarted, log in" in stack.output()
        wait_until(lambda: "web is ready again" in stack.output(), what="the program to be ready again")
        assert lives(stack.pids()["web"])


def test_a_program_that_was_asked_to_stop_is_restarted_at_once(tmp_path: Path) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"]) as stack:
        before = stack.pids()["web"]
        os.kill(before, signal.SIGTERM)
        wait_until(lambda: stack.pids()["web"] != before, what="the restart")
        assert "web ended with code 0: restarted, log in" in stack.output()


def test_a_program_that_dies_early_again_and_again_waits_longer_each_time_and_stops_nobody(tmp_path: Path) -> None:
    # Dies at once whenever it is started again.
    dying = "again = os.path.exists(f'{folder}/{name}.ready'); note(time.monotonic()); ready()\n"
    dying += "if again: sys.exit(9)\ntime.sleep(600)"
    programs = [{"name": "valkey", "code": STEADY}, {"name": "web", "code": dying}]
    with driven(tmp_path, programs, ["web", "valkey"], speed=2.0) as stack:
        os.kill(stack.pids()["web"], signal.SIGKILL)

        def starts() -> list[float]:
            return [float(event.split()[1]) for event in stack.events() if event.startswith("web")]

        wait_until(lambda: len(starts()) == 5, what="four restarts")
        pauses = [2 * (later - earlier) for earlier, later in itertools.pairwise(starts()[1:])]
        assert all(pause >= least for pause, least in zip(pauses, (1, 2, 4), strict=True)), pauses
        assert "web ended with code 9: restart in " in stack.output()
        assert stack.process.poll() is None
        assert "valkey term" not in stack.events()


def test_a_program_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"]) as stack:
        before, log = stack.pids()["web"], tmp_path / "web.log"
        log.unlink()
        log.mkdir()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: "web cannot be started (Is a directory): restart in" in stack.output(), what="the failure")
        log.rmdir()
        wait_until(lambda: stack.pids()["web"] != before, what="the restart")


def test_a_frozen_program_is_killed_and_restarted(tmp_path: Path) -> None:
    programs = [{"name": "worker", "code": "on_term(0); ready(); beat_for_ever()"}]
    with driven(tmp_path, programs, ["worker"], speed=5.0) as stack:
        before = stack.pids()["worker"]
        wait_until(lambda: list((tmp_path / "processes").glob("*.lock")), what="the first sign of life")
        os.kill(before, signal.SIGSTOP)
        wait_until(lambda: stack.pids()["worker"] != before, what="the restart")
        assert not lives(before)
        assert "worker gave no sign of life for 10 s and is killed" in stack.output()


def test_a_program_whose_child_is_frozen_is_killed_with_it(tmp_path: Path) -> None:
    master = "if os.fork() == 0: note(os.getpid()); beat_for_ever()\non_term(0); ready(); time.sleep(600)"
    with driven(tmp_path, [{"name": "web", "code": master}], ["web"], speed=5.0) as stack:
        before = stack.pids()["web"]
        wait_until(lambda: list((tmp_path / "processes").glob("*.lock")), what="the first sign of life")
        child = int(stack.events()[0].split()[1])
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: stack.pids()["web"] != before, what="the restart")
        assert not lives(child)


def test_a_program_that_never_shows_itself_may_be_frozen(tmp_path: Path) -> None:
    programs = [
        {"name": "valkey", "code": STEADY},
        {"name": "worker", "code": "on_term(0); ready(); beat_for_ever()"},
    ]
    with driven(tmp_path, programs, ["worker", "valkey"], speed=5.0) as stack:
        before = stack.pids()
        wait_until(lambda: list((tmp_path / "processes").glob("*.lock")), what="the first sign of life")
        for name in ("valkey", "worker"):
            os.kill(before[name], signal.SIGSTOP)
        wait_until(lambda: stack.pids()["worker"] != before["worker"], what="the restart of the other one")
        assert lives(before["valkey"])
        os.kill(before["valkey"], signal.SIGCONT)


def test_children_of_a_program_that_died_do_not_outlive_it(tmp_path: Path) -> None:
    master = (
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']);"
        "note(f'child {child.pid}'); ready(); time.sleep(600)"
    )
    with driven(tmp_path, [{"name": "web", "code": master}], ["web"]) as stack:
        pids = stack.pids()
        child = int(stack.events()[0].split()[-1])
        assert lives(child)
        os.kill(pids["web"], signal.SIGKILL)
        wait_until(lambda: not lives(child), what="the child to go")


def test_kill_9_of_the_supervisor_leaves_no_process(tmp_path: Path) -> None:
    deaf = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']);"
        "note(child.pid); ready(); time.sleep(600)"
    )
    with driven(tmp_path, [{"name": name, "code": deaf} for name in ("valkey", "web")], ["web", "valkey"]) as stack:
        everyone = [*stack.pids().values(), *(int(event.split()[1]) for event in stack.events())]
        assert len(everyone) == 5
        stack.process.kill()
        wait_until(lambda: not any(lives(pid) for pid in everyone), what="every process to go")


def test_a_guard_that_was_killed_is_replaced_and_still_leaves_nothing(tmp_path: Path) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"]) as stack:
        pids = stack.pids()
        os.kill(pids["guard"], signal.SIGKILL)
        # The new guard is known once anything is written again: a restart of the program does that.
        os.kill(pids["web"], signal.SIGKILL)
        wait_until(lambda: stack.pids()["web"] != pids["web"], what="the restart")
        now = stack.pids()
        assert now["guard"] != pids["guard"]
        stack.process.kill()
        wait_until(lambda: not any(lives(pid) for pid in now.values()), what="every process to go")


def test_a_signal_during_the_start_stops_what_has_started(tmp_path: Path) -> None:
    never = "on_term(0); note('start'); time.sleep(600); ready()"
    with driven(tmp_path, [{"name": "web", "code": never}], ["web"]) as stack:
        wait_until(lambda: stack.events() == ["web start"], what="the program to start")
        stack.process.send_signal(signal.SIGINT)
        assert stack.wait() == 0
        assert stack.events() == ["web start", "web term"]
