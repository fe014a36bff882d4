"""The supervisor with tiny programs, driven as a process of its own, so that it can be killed."""

import json
import os
import signal
import subprocess
import sys
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
                        request=request, say=lambda text: print(text, flush=True), on_change=write,
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


def test_a_program_that_dies_is_restarted_and_that_is_said(tmp_path: Path) -> None:
    with driven(tmp_path, [{"name": "web", "code": STEADY}], ["web"]) as stack:
        before = stack.pids()["web"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: stack.pids()["web"] != before, what="the restart")
        assert "web killed by SIGKILL: restart in 1 s" in stack.output()
        wait_until(lambda: "web is ready again" in stack.output(), what="the program to be ready again")
        assert lives(stack.pids()["web"])


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


def test_five_deaths_in_a_minute_stop_everything_and_show_the_end_of_the_log(tmp_path: Path) -> None:
    # Dies at once whenever it is started again: after 1, 2, 4 and 8 s.
    dying = "again = os.path.exists(f'{folder}/{name}.ready'); ready(); print('oh no', flush=True)\n"
    dying += "if again: sys.exit(9)\n" + STEADY
    programs = [{"name": "valkey", "code": STEADY}, {"name": "web", "code": dying}]
    with driven(tmp_path, programs, ["web", "valkey"], speed=5.0) as stack:
        os.kill(stack.pids()["web"], signal.SIGKILL)
        assert stack.wait() == 1
        assert [line.split(": ")[1].split(",")[0] for line in stack.output().splitlines() if "restart in" in line] == [
            "restart in 1 s",
            "restart in 2 s",
            "restart in 4 s",
            "restart in 8 s",
        ]
        assert "web ended with code 9, the 5th time in 60 s" in stack.output()
        assert "  oh no" in stack.output()
        assert stack.events()[-1] == "valkey term"


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
        wait_until(lambda: not any(lives(pid) for pid in everyone), seconds=5, what="every process to go")


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
        wait_until(lambda: not any(lives(pid) for pid in now.values()), seconds=5, what="every process to go")


def test_a_signal_during_the_start_stops_what_has_started(tmp_path: Path) -> None:
    never = "on_term(0); note('start'); time.sleep(600); ready()"
    with driven(tmp_path, [{"name": "web", "code": never}], ["web"]) as stack:
        wait_until(lambda: stack.events() == ["web start"], what="the program to start")
        stack.process.send_signal(signal.SIGINT)
        assert stack.wait() == 0
        assert stack.events() == ["web start", "web term"]
