from __future__ import annotations

from tests.promtool import findings_of


def counter(name: str) -> str:
    return f"# HELP {name} Things\n# TYPE {name} counter\n{name} 1\n"


def test_what_is_wrong_with_a_metric_is_found() -> None:
    assert findings_of(counter("things")) == ['things counter metrics should have "_total" suffix']


def test_a_sound_metric_is_not_complained_about() -> None:
    assert findings_of(counter("things_total")) == []
