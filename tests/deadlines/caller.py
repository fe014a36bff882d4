"""A process that calls hostile servers through the gateway, and tells how each call ended and what it cost.

Its standard input is a JSON list of calls, its standard output one JSON object for each.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from app.agents.configuration import AgentConfig
from app.agents.question import Question
from app.domain.deadline import Deadline
from app.domain.errors import MarketplaceError
from app.live_metrics import LiveMetrics
from app.logs import configure_logs
from app.outbound import Outbound
from app.settings import LogSettings, OutboundSettings
from tests.gateways import gateway_to

#: Longer than any buffer between two processes of one host.
_LONG_CHARACTERS = 16_000_000


def main() -> None:
    """Make the calls, one after the other."""
    configure_logs(LogSettings(level="ERROR"))
    for call in json.load(sys.stdin):
        sys.stdout.write(json.dumps(_made(**call)) + "\n")
        sys.stdout.flush()


def _made(
    name: str, url: str, seconds: float, authority: str | None, *, resolves: bool, long_question: bool
) -> dict[str, Any]:
    outbound = Outbound(
        OutboundSettings(tls_ca_file=Path(authority) if authority else None),
        allow_private=True,
        lookup=socket.getaddrinfo if resolves else _never,
    )
    if url.startswith("https"):
        # Loaded once by each process, and not part of the call.
        _ = outbound._tls
    # The openai protocol, for it looks for the plan in any text around it.
    config = AgentConfig(name="agent", channel="agent", url=url, model="m", timeout_seconds=120)
    gateway = gateway_to([config], LiveMetrics(agents=["agent"]), outbound=outbound)
    context = "x" * _LONG_CHARACTERS if long_question else ""
    question = Question("analysis", "agent", "Shoes", context, None)
    # What the request itself takes: as text, as JSON and as bytes.
    own_bytes = 4 * len(context)
    _forget_peak()
    before = _kilobytes("VmRSS")
    started = time.monotonic()
    try:
        gateway.ask("agent", question, Deadline.after(seconds))
        error = None
    except MarketplaceError as raised:
        error = type(raised).__name__
    ended = time.monotonic()
    growth = max(0, (_kilobytes("VmHWM") - before) * 1024 - own_bytes)
    return {"name": name, "error": error, "seconds": ended - started, "growth_bytes": growth}


def _never(*_arguments: object, **_options: object) -> list[tuple[Any, ...]]:
    threading.Event().wait()
    return []


def _forget_peak() -> None:
    """Let the highest memory so far be that of now, see proc(5)."""
    Path("/proc/self/clear_refs").write_text("5")


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1))


if __name__ == "__main__":
    main()
