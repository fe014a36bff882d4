from __future__ import annotations

from tests.promtool import findings_of


def test_what_is_wrong_with_a_metric_is_found() -> None:
    found = findings_of("# HELP things_milliseconds Things\n# TYPE things_milliseconds counter\nthings_milliseconds 1\n")
    assert [line for line in found if line.endswith('counter metrics should have "_total" suffix')]


def test_a_sound_metric_is_not_complained_about() -> None:
    assert findings_of("# HELP things_total Things\n# TYPE things_total counter\nthings_total 1\n") == []
