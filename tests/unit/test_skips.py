from __future__ import annotations

import pytest

from tests.skips import NO_PACKAGE

_NEEDS_A_SERVER = """
    import pytest

    def test_needs_a_server():
        pytest.skip("PostgreSQL is not installed: run `make tools`")
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makepyfile(_NEEDS_A_SERVER)
    pytester.makeini("[pytest]")
    monkeypatch.delenv("CI", raising=False)
    return pytester


def test_a_skipped_test_is_listed_by_name_with_the_command_that_brings_it(run: pytest.Pytester) -> None:
    result = run.runpytest_inprocess("-p", "tests.skips")
    result.stdout.fnmatch_lines(["PostgreSQL is not installed: run `make tools` (1)", "  *.py::test_needs_a_server"])
    assert result.ret is pytest.ExitCode.OK


def test_in_ci_a_skipped_test_fails_the_run(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = run.runpytest_inprocess("-p", "tests.skips")
    result.stdout.fnmatch_lines(["*nothing may be skipped*"])
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_several_processes_report_their_skipped_tests_too(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = run.runpytest_inprocess("-p", "tests.skips", "-p", "xdist", "--numprocesses=1")
    result.stdout.fnmatch_lines(["PostgreSQL is not installed*", "  *.py::test_needs_a_server"])
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_what_comes_in_no_package_is_named_in_ci_and_fails_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makeini("[pytest]")
    pytester.makepyfile(f"import pytest\n\ndef test_needs_it():\n    pytest.skip({NO_PACKAGE + 'a thing'!r})\n")
    result = pytester.runpytest_inprocess("-p", "tests.skips")
    result.stdout.fnmatch_lines([f"{NO_PACKAGE}a thing (1)", "  *.py::test_needs_it"])
    result.stdout.no_fnmatch_line("*nothing may be skipped*")
    assert result.ret is pytest.ExitCode.OK
