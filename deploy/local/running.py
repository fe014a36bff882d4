"""Run a local stack from start to stop, and tell others about it on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from app.domain.errors import ConflictError
from app.settings import Settings
from deploy.local.observers import ObserverBinaries
from deploy.local.run_file import DataDirectory
from deploy.local.stack import Stack, choose_ports
from deploy.local.supervisor import StopRequest, Supervisor

#: How long a second start waits for the first one to be ready, or to be gone.
_WAIT_SECONDS = 30.0


@contextmanager
def holding(data: DataDirectory, request: StopRequest) -> Iterator[dict[str, Any] | None]:
    """Hold the data directory, or find out who does.

    Yields None when the directory is ours, else what `run.json` says of the stack that was there first.

    Raises:
        ConflictError: Another stack holds it, and within 30 s neither becomes ready nor ends.
        KeyboardInterrupt: A stop was requested meanwhile.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    with ExitStack() as hold:
        while True:
            facts = data.announced()
            if facts is not None and facts["state"] == "running":
                break
            try:
                hold.enter_context(data.held())
                break
            except ConflictError:
                if time.monotonic() > deadline:
                    raise
                if request.is_made:
                    raise KeyboardInterrupt from None
                time.sleep(0.1)
        yield facts


def run_stack(
    settings: Settings,
    data: DataDirectory,
    *,
    request: StopRequest,
    say: Callable[[str], None],
    on_ready: Callable[[Stack, dict[str, Any]], None],
    observers: ObserverBinaries | None = None,
) -> None:
    """Run a stack in a directory that the caller holds, until a stop is requested; `observers` run beside it.

    Raises:
        NetworkError: A port is taken.
        StackError: A process could not start.
    """
    stack = Stack(settings, data, choose_ports(settings), os.environ, observers)
    stack.write_files()

    def announce(state: str = "running") -> None:
        data.announce({**stack.facts(supervisor.pids()), "state": state})

    supervisor = Supervisor(
        stack.programs(),
        stack.stop_order(),
        logs=data.logs,
        processes=data.processes,
        request=request,
        say=say,
        on_change=announce,
    )

    def ready() -> None:
        announce()
        on_ready(stack, stack.facts(supervisor.pids()))

    def stopping() -> None:
        announce("stopping")
        # The API is the first to stop: from now on nobody waits for it.
        stack.ports.web.stop_listening()

    supervisor.run(ready, on_stop=stopping)
