"""A dashboard's variables: their values, and their places in queries, titles and links.

Source of the rules: Grafana's documentation of variable syntax, and its Prometheus data source for how several values
become a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from app.domain.errors import InvalidInputError
from monitoring.rendering.dashboard import Variable
from monitoring.rendering.prometheus import Prometheus, QueryError
from monitoring.rendering.regexes import compiled
from monitoring.rendering.series import Series
from monitoring.rendering.time_range import TimeRange, span_text

ALL = "$__all"
#: What stands for All in a query when there is nothing to choose from: a panel then shows everything.
_ANYTHING = ".*"

_PLACE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.[\w.]+)?(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_LABEL_VALUES = re.compile(r"\s*label_values\(\s*(?:(.*?)\s*,\s*)?([a-zA-Z_][a-zA-Z0-9_]*)\s*\)\s*", re.DOTALL)
_QUERY_RESULT = re.compile(r"\s*query_result\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True)
class Value:
    """What is chosen for one variable.

    Args:
        values: The chosen ones; for All, all there are.
        is_all: Whether everything is chosen.
        is_list: Whether queries must match it as a regular expression: several values may be chosen.
        all_value: What All becomes in a query, as it is; empty for a list of all values.
        label: What people call the variable; empty when it is not shown.
    """

    values: tuple[str, ...]
    is_all: bool = False
    is_list: bool = False
    all_value: str = ""
    label: str = ""

    @property
    def text(self) -> str:
        """What a person reads."""
        return "All" if self.is_all else ", ".join(self.values)


class Variables:
    """Values by name, put into texts; names that are not known stay as they are."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def shown(self) -> list[tuple[str, str]]:
        """Return label and value of each variable that people see."""
        return [(value.label, value.text) for value in self._values.values() if value.label]

    def with_value(self, name: str, value: Value) -> Variables:
        """Return the same variables and one more."""
        return Variables({**self._values, name: value})

    def within(self, when: TimeRange, step: float) -> Variables:
        """Return the same variables and those that Grafana makes of the time: `$__interval`, `$__range` and so on."""
        texts = {
            "__interval": span_text(step),
            "__interval_ms": str(round(step * 1000)),
            "__rate_interval": span_text(when.rate_interval(step)),
            "__rate_interval_ms": str(round(when.rate_interval(step) * 1000)),
            "__range": span_text(max(round(when.seconds), 1)),
            "__range_s": str(round(when.seconds)),
            "__range_ms": str(round(when.seconds * 1000)),
            "__from": str(round(when.start * 1000)),
            "__to": str(round(when.end * 1000)),
        }
        return Variables({**self._values, **{name: Value((text,)) for name, text in texts.items()}})

    def in_query(self, expr: str) -> str:
        """Return a PromQL expression with values in place of variables: escaped, several as `(a|b)`."""
        return self._replaced(expr, "")

    def in_text(self, text: str) -> str:
        """Return a text for people with values in place of variables."""
        return self._replaced(text, "text")

    def in_url(self, url: str) -> str:
        """Return a link with values in place of variables, encoded for a URL."""
        every = "&".join(
            f"var-{name}={quote(value, safe='')}"
            for name, found in self._values.items()
            if not name.startswith("__")
            for value in ([ALL] if found.is_all else found.values)
        )
        times = "&".join(
            f"{end}={found.values[0]}" for end in ("from", "to") if (found := self._values.get(f"__{end}"))
        )
        for name, text in (("__all_variables", every), ("__url_time_range", times)):
            url = url.replace(f"${{{name}}}", text).replace(f"${name}", text)
        return self._replaced(url, "percentencode")

    def _replaced(self, text: str, style: str) -> str:
        def place(match: re.Match[str]) -> str:
            name = match[1] or match[2] or match[4]
            value = self._values.get(name)
            return match[0] if value is None else _formatted(value, match[3] or match[5] or style)

        return _PLACE.sub(place, text)


def _formatted(value: Value, style: str) -> str:
    if style == "text":
        return value.text
    if value.is_all and value.all_value:
        return value.all_value
    write = _STYLES.get(style)
    if write is not None:
        return write(value.values)
    if style == "regex" or value.is_list:
        return _alternatives(value.values)
    return _quoted(value.values[0]) if value.values else ""


#: Formats of a place, as in `${name:csv}`.
_STYLES: Mapping[str, Callable[[Sequence[str]], str]] = {
    "csv": ",".join,
    "raw": ",".join,
    "pipe": "|".join,
    "json": lambda values: json.dumps(values[0] if len(values) == 1 else list(values)),
    "percentencode": lambda values: quote(",".join(values), safe=""),
}


def _alternatives(values: Sequence[str]) -> str:
    """Return a regular expression within a PromQL string that matches any of the values."""
    if not values:
        return _ANYTHING
    escaped = [_regex_escaped(value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _regex_escaped(value: str) -> str:
    """Escape for RE2, and once more for the quotes of PromQL around it."""
    return _quoted(re.sub(r"[\\^$*+?.()|\[\]{}]", r"\\\g<0>", value))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def read_variables(
    declared: Iterable[Variable], given: Mapping[str, Sequence[str]], prometheus: Prometheus, when: TimeRange
) -> tuple[Variables, dict[str, str]]:
    """Return the values of a dashboard's variables, and by name what Prometheus says is wrong with their queries.

    A value is the one given, else the dashboard's own, else all there are or the first.

    Args:
        declared: In the dashboard's order: a query may use the variables before it.
        given: Values by name, as on the command line; `All` chooses everything.
        prometheus: Where `label_values` and `query_result` are asked.
        when: The time that the page shows.

    Raises:
        InvalidInputError: A query is of a kind that we do not know, or nothing of that name can be chosen.
    """
    found, errors = Variables({}).within(when, when.step(1000)), dict[str, str]()
    for variable in declared:
        try:
            choices = list(_choices(variable, found, prometheus, when))
        except QueryError as error:
            errors[variable.name], choices = str(error), []
        wanted = None if variable.name in errors else given.get(variable.name)
        found = found.with_value(variable.name, _chosen(variable, choices, wanted))
    return found, errors


def _choices(variable: Variable, known: Variables, prometheus: Prometheus, when: TimeRange) -> Iterator[str]:
    query = variable.query.get("query", "") if isinstance(variable.query, dict) else str(variable.query)
    if variable.type in {"constant", "textbox"}:
        yield query
    elif variable.type in {"custom", "interval"}:
        yield from (
            choice.partition(" : ")[2] or choice for choice in re.split(r"\s*(?<!\\),\s*", query.strip()) if choice
        )
    elif variable.type == "datasource":
        yield "prometheus"
    elif variable.type == "query":
        yield from _filtered(_asked(variable.name, known.in_query(query), prometheus, when), variable.regex)
    else:
        raise InvalidInputError(f"variable {variable.name}", f"of type {variable.type!r} is not supported")


def _asked(name: str, query: str, prometheus: Prometheus, when: TimeRange) -> list[str]:
    labels = _LABEL_VALUES.fullmatch(query)
    if labels:
        return prometheus.label_values(labels[2], labels[1] or "", when.start, when.end)
    result = _QUERY_RESULT.fullmatch(query)
    if result:
        return [_as_text(series) for series in prometheus.instant(result[1], when.end)]
    raise InvalidInputError(f"variable {name}", f"its query is neither label_values nor query_result: {query[:80]}")


def _as_text(series: Series) -> str:
    """Return a series as `query_result` lists it, for the variable's regular expression to take apart."""
    labels = ",".join(f'{key}="{value}"' for key, value in sorted(series.labels.items()) if key != "__name__")
    at, value = series.points[-1]
    return f"{series.labels.get('__name__', '')}{{{labels}}} {value:g} {at * 1000:.0f}"


def _filtered(values: Iterable[str], pattern: str) -> list[str]:
    """Return the values that match; with a group in the expression, what the group holds."""
    if not pattern:
        return list(dict.fromkeys(values))
    expression = compiled("variable", pattern)
    matches = (expression.search(value) for value in values)
    return list(dict.fromkeys(match[1] if match.re.groups else match[0] for match in matches if match))


def _chosen(variable: Variable, choices: Sequence[str], given: Sequence[str] | None) -> Value:
    """Return the value of one variable."""
    is_list = variable.multi or variable.include_all
    every = Value(tuple(choices), is_all=True, is_list=True, all_value=variable.all_value)
    label = "" if variable.hide else variable.label or variable.name
    wanted = list(given) if given is not None else _current(variable)
    if variable.include_all and (wanted in (["All"], [ALL]) or (not wanted and not choices)):
        return replace(every, label=label)
    open_ended = variable.type in {"textbox", "datasource"}
    if given is not None and not open_ended:
        unknown = [value for value in wanted if value not in choices]
        if unknown:
            raise InvalidInputError(
                f"variable {variable.name}", f"has no value {unknown[0]!r}; it has {', '.join(choices) or 'none'}"
            )
    if given is None and not open_ended:
        wanted = [value for value in wanted if value in choices]
    if not wanted and variable.include_all:
        return replace(every, label=label)
    wanted = wanted or list(choices[:1])
    return Value(tuple(wanted), is_list=is_list, label=label)


def _current(variable: Variable) -> list[str]:
    value = variable.current.get("value", [])
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value != "" else []
