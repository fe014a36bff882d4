"""What a run has skipped, by name: listed at its end, and a failure in CI."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

#: Begins the reason of a skip that CI accepts: what is missing comes in no package that `make tools` could install.
NO_PACKAGE = "comes in no package of this system: "


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every skipped test under its reason, which names the command that brings what is missing."""
    skipped = _skipped(terminalreporter)
    if not skipped:
        return
    terminalreporter.section("skipped tests", yellow=True)
    for reason, names in sorted(_by_reason(skipped).items()):
        terminalreporter.write_line(f"{reason} ({len(names)})", yellow=True)
        for name in sorted(names):
            terminalreporter.write_line(f"  {name}")
    if _nothing_may_be_skipped() and _inexcusable(skipped):
        terminalreporter.write_line("CI=true: nothing may be skipped, the run has failed", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when something was skipped in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _nothing_may_be_skipped() and reporter is not None and _inexcusable(_skipped(reporter)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    return list(reporter.stats.get("skipped", []))


def _by_reason(skipped: list[pytest.TestReport]) -> dict[str, list[str]]:
    names = defaultdict(list)
    for report in skipped:
        names[_reason(report)].append(report.nodeid)
    return names


def _reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _inexcusable(skipped: list[pytest.TestReport]) -> bool:
    return any(not _reason(report).startswith(NO_PACKAGE) for report in skipped)


def _nothing_may_be_skipped() -> bool:
    return os.environ.get("CI", "") not in {"", "0", "false"}
