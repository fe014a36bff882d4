from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import InvalidInputError
from monitoring.rendering.dashboard import Variable
from monitoring.rendering.prometheus import Prometheus
from monitoring.rendering.time_range import TimeRange, time_range
from monitoring.rendering.variables import Value, Variables, read_variables

_HOUR = TimeRange(0.0, 3600.0, 15.0)
#: Never asked: what is read here needs no query.
_NOBODY = Prometheus("http://127.0.0.1:9")

_ONE = Variables({"agent": Value(("amazon",))})
_TWO = Variables({"agent": Value(("amazon", "tiktok-shop"), is_list=True)})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('up{a="$agent"}', 'up{a="amazon"}'),
        ('up{a="${agent}"}', 'up{a="amazon"}'),
        ('up{a=~"${agent:regex}"}', 'up{a=~"amazon"}'),
        ('up{a="[[agent]]"}', 'up{a="amazon"}'),
        ('up{a="$agents"}', 'up{a="$agents"}'),
        ("rate(x[5m]) * $1", "rate(x[5m]) * $1"),
    ],
)
def test_a_variable_is_replaced_in_every_notation(text: str, result: str) -> None:
    assert _ONE.in_query(text) == result


def test_several_values_become_alternatives() -> None:
    assert _TWO.in_query('up{a=~"$agent"}') == 'up{a=~"(amazon|tiktok-shop)"}'
    assert _TWO.in_query("${agent:csv} ${agent:pipe} ${agent:json}") == (
        'amazon,tiktok-shop amazon|tiktok-shop ["amazon", "tiktok-shop"]'
    )


def test_a_value_cannot_leave_its_string_nor_act_as_an_expression() -> None:
    single = Variables({"v": Value(('a"} or vector(1) #',))})
    assert single.in_query('up{a="$v"}') == r'up{a="a\"} or vector(1) #"}'
    several = Variables({"v": Value(("a.*", "b\\"), is_list=True)})
    assert several.in_query('up{a=~"$v"}') == r'up{a=~"(a\\.\\*|b\\\\)"}'


def test_all_is_every_value_or_what_the_dashboard_says() -> None:
    every = Value(("a", "b"), is_all=True, is_list=True)
    assert Variables({"v": every}).in_query("$v") == "(a|b)"
    assert Variables({"v": every}).in_text("$v") == "All"
    assert Variables({"v": Value(("a",), is_all=True, is_list=True, all_value=".+")}).in_query("$v") == ".+"
    assert Variables({"v": Value((), is_all=True, is_list=True)}).in_query("$v") == ".*"


def test_the_time_is_put_in() -> None:
    text = _ONE.within(_HOUR, 15.0).in_query("$__rate_interval $__interval ${__range} $__range_s $__interval_ms")
    assert text == "1m 15s 1h 3600 15000"
    assert _ONE.within(_HOUR, 300.0).in_query("$__rate_interval") == "315s"


def test_a_link_carries_the_time_and_every_variable() -> None:
    known = _TWO.within(_HOUR, 15.0)
    assert known.in_url("/d/x?${__url_time_range}&${__all_variables}") == (
        "/d/x?from=0&to=3600000&var-agent=amazon&var-agent=tiktok-shop"
    )
    assert Variables({"v": Value(("a&b=c",))}).in_url("/x?v=$v") == "/x?v=a%26b%3Dc"


def read(given: dict[str, list[str]] | None = None, **fields: Any) -> Variables:
    declared = Variable.model_validate({"name": "v", "type": "custom", "query": "a, b,c", **fields})
    return read_variables([declared], given or {}, _NOBODY, _HOUR)[0]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "a"),
        ({"current": {"value": "b"}}, "b"),
        ({"current": {"value": "gone"}}, "a"),
        ({"current": {"value": ["a", "c"]}, "multi": True}, "a, c"),
        ({"includeAll": True, "current": {"value": ["$__all"]}}, "All"),
        ({"includeAll": True}, "All"),
        ({"type": "constant", "query": "50"}, "50"),
        ({"type": "interval", "query": "1m,5m", "current": {"value": "5m"}}, "5m"),
        ({"query": "one : 1, two : 2", "current": {"value": "2"}}, "2"),
        ({"type": "datasource", "query": "prometheus"}, "prometheus"),
    ],
)
def test_the_dashboard_s_own_value_is_taken_where_it_can_be(fields: dict[str, Any], text: str) -> None:
    assert read(**fields).in_text("$v") == text


def test_a_given_value_wins() -> None:
    assert read({"v": ["c"]}, current={"value": "b"}).in_text("$v") == "c"
    assert read({"v": ["All"]}, includeAll=True, current={"value": "b"}).in_text("$v") == "All"


def test_a_given_value_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInputError, match="no value 'z'; it has a, b, c"):
        read({"v": ["z"]})


def test_a_hidden_variable_is_not_shown() -> None:
    assert read(hide=2).shown() == []
    assert read(label="Agent").shown() == [("Agent", "a")]


@pytest.mark.parametrize(
    ("begin", "end", "seconds"),
    [
        ("1h", "now", 3600),
        ("7d", "now-1h", 7 * 86_400),
        ("now-6h", "now", 6 * 3600),
        ("2026-03-01T11:00:00", "2026-03-01T12:00:00", 3600),
        ("2026-03-01T12:00:00+01:00", "2026-03-01T12:00:00Z", 3600),
    ],
)
def test_a_time_range_is_read(begin: str, end: str, seconds: int) -> None:
    assert time_range(begin, end, now=1_772_366_400.0, scrape_seconds=15).seconds == seconds


@pytest.mark.parametrize(("begin", "end"), [("now", "now-1h"), ("yesterday", "now"), ("1h", "soon"), ("0s", "now")])
def test_a_time_range_that_is_none_is_refused(begin: str, end: str) -> None:
    with pytest.raises(InvalidInputError):
        time_range(begin, end, now=1_772_366_400.0, scrape_seconds=15)


@pytest.mark.parametrize("days", [1, 30, 366])
def test_no_step_makes_more_points_than_prometheus_allows(days: int) -> None:
    when = TimeRange(0.0, days * 86_400.0, 1.0)
    assert when.seconds / when.step(1_000_000) < 11_000
