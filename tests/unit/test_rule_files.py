"""Rule files are the same text each time, and read as what was written."""

import yaml

from app.rule_files import RuleGroup, duration, rule_file

_GROUP = RuleGroup("one", 60, ({"record": "a:b", "expr": 'x{y="z"}\nor vector(0)'}, {"record": "c:d", "expr": "1"}))


def test_a_file_reads_as_what_was_written() -> None:
    assert yaml.safe_load(rule_file([_GROUP])) == {
        "groups": [{"name": "one", "interval": "1m", "rules": [dict(rule) for rule in _GROUP.rules]}]
    }


def test_a_file_says_that_it_is_generated_and_shows_lines_as_lines() -> None:
    text = rule_file([_GROUP])
    assert text.startswith("# generated")
    assert "do not edit" in text.splitlines()[0]
    assert '      x{y="z"}\n      or vector(0)\n' in text


def test_what_stands_twice_is_written_twice() -> None:
    shared = {"severity": "info"}
    text = rule_file([RuleGroup("one", 5, ({"labels": shared}, {"labels": shared}))])
    assert text.count("severity: info") == 2


def test_times_are_written_in_the_largest_unit_that_fits() -> None:
    assert [duration(seconds) for seconds in (0, 5, 90, 120, 7200)] == ["0s", "5s", "90s", "2m", "2h"]
