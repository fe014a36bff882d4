"""How the values of one field are shown: unit, mappings, thresholds and colour, after all overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from app.domain.errors import InvalidInputError
from monitoring.rendering.dashboard import FieldConfig, FieldOptions, Matcher, Thresholds
from monitoring.rendering.regexes import compiled
from monitoring.rendering.theme import paint
from monitoring.rendering.units import format_value

#: Whatever JSON can say.
_Json: TypeAlias = Any
FieldType = Literal["number", "string", "time"]

#: Grafana's word for a value that is not there.
NO_VALUE = "No data"


@dataclass(frozen=True)
class FieldDisplay:
    """The options of one field."""

    options: FieldOptions

    @property
    def no_value(self) -> str:
        """What stands for a value that is not there."""
        return self.options.no_value if self.options.no_value is not None else NO_VALUE

    def custom(self, name: str, default: _Json = None) -> _Json:
        """Return an option of the panel's own kind; `a.b` is b within a."""
        found: Any = self.options.custom
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return default if found is None else found

    def measure(self, name: str, default: float) -> float:
        """Return a number among the options of the panel's own kind.

        Raises:
            InvalidInputError: It is something else.
        """
        found = self.custom(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise InvalidInputError(f"custom.{name}", f"{found!r} is no number")
        return float(found)

    def text(self, value: float) -> str:
        """Return a value as people read it: its mapping, else the number with its unit."""
        mapped = self._mapped(value)
        if mapped.get("text"):
            return str(mapped["text"])
        return self.no_value if math.isnan(value) else self.number(value)

    def number(self, value: float) -> str:
        """Return a value with its unit, whatever the mappings say."""
        return format_value(value, self.options.unit, self.options.decimals)

    def text_of(self, text: str) -> str:
        """Return what a field of texts shows."""
        return str(_mapped_text(self.options.mappings, text).get("text") or text)

    def colour_of(self, text: str) -> str | None:
        """Return the colour of a text, None when no mapping gives it one."""
        found = _mapped_text(self.options.mappings, text).get("color")
        return paint(str(found)) if found else None

    def colour(self, value: float) -> str | None:
        """Return the colour of a value: of its mapping, else by the colour mode; None for that of the series."""
        mapped = self._mapped(value).get("color")
        if mapped:
            return paint(str(mapped))
        mode = self.options.color
        if mode is not None and mode.mode in {"fixed", "shades"}:
            return paint(mode.fixed_color)
        if mode is not None and mode.mode != "thresholds":
            return None
        return self.threshold_colour(value)

    def threshold_colour(self, value: float) -> str | None:
        """Return the colour of the highest threshold that the value has reached, None when there is none."""
        if math.isnan(value):
            return None
        reached = [colour for at, colour in self.thresholds() if value >= at]
        return reached[-1] if reached else None

    def thresholds(self) -> list[tuple[float, str]]:
        """Return value and colour of each step in rising order; the base step is at minus infinity."""
        return [
            (-math.inf if step.value is None else self._absolute(step.value), paint(step.color))
            for step in self._steps.steps
        ]

    @property
    def _steps(self) -> Thresholds:
        return self.options.thresholds

    def _absolute(self, value: float) -> float:
        if self._steps.mode != "percentage":
            return value
        low = self.options.min if self.options.min is not None else 0.0
        high = self.options.max if self.options.max is not None else 100.0
        return low + (high - low) * value / 100

    def _mapped(self, value: float) -> Mapping[str, Any]:
        return next((found for one in self.options.mappings if (found := _mapping(one, value))), {})


def display_for(
    config: FieldConfig, name: str, *, kind: FieldType = "number", ref_id: str = "", original: str = ""
) -> FieldDisplay:
    """Return the options of a field: the panel's defaults, then every override that matches, in order.

    Args:
        config: The panel's.
        name: What the field is called on the page.
        kind: What its values are.
        ref_id: Query that it comes from.
        original: Its name before it was renamed; overrides match either.

    Raises:
        InvalidInputError: An override has a value that its option cannot take.
    """
    options: dict[str, Any] = config.defaults.model_dump()
    for override in config.overrides:
        if not any(_matches(override.matcher, known, kind, ref_id) for known in {name, original} - {""}):
            continue
        for change in override.properties:
            _set(options, change.id, change.value)
    try:
        return FieldDisplay(FieldOptions.model_validate(options))
    except ValueError as error:
        raise InvalidInputError(f"override of {name!r}", str(error).partition("\n")[2].strip()) from None


def _matches(matcher: Matcher, name: str, kind: FieldType, ref_id: str) -> bool:
    wanted = matcher.options
    if matcher.id == "byName":
        return bool(wanted == name)
    if matcher.id == "byRegexp":
        return compiled("override", str(wanted)).search(name) is not None
    if matcher.id == "byType":
        return bool(wanted == kind)
    if matcher.id == "byFrameRefID":
        return bool(wanted == ref_id)
    if matcher.id == "byNames" and isinstance(wanted, Mapping):
        return (name in wanted.get("names", [])) != (wanted.get("mode") == "exclude")
    return False


def _set(options: dict[str, Any], path: str, value: _Json) -> None:
    """Put an overridden value where it belongs: `custom.a.b` into the options of the panel's kind."""
    if not path.startswith("custom."):
        # The JSON's names are camelCase, those of the model are not.
        options[re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", path)] = value
        return
    target = options["custom"] = dict(options["custom"])
    *parents, last = path.removeprefix("custom.").split(".")
    for parent in parents:
        target[parent] = dict(target.get(parent) or {})
        target = target[parent]
    target[last] = value


def _mapping(mapping: Mapping[str, Any], value: float) -> Mapping[str, Any]:
    """Return text and colour of one mapping for a number, empty when it is not for it."""
    kind, options = mapping.get("type"), mapping.get("options") or {}
    found: Any = None
    if kind == "value":
        found = next((shown for key, shown in options.items() if _is_number(key, value)), None)
    elif kind == "range":
        low, high = options.get("from"), options.get("to")
        inside = (low is None or value >= low) and (high is None or value <= high)
        found = options.get("result") if inside and not math.isnan(value) else None
    elif kind == "special" and str(options.get("match")) in {"null", "nan", "null+nan", "empty"}:
        found = options.get("result") if math.isnan(value) else None
    elif kind == "regex" and compiled("mapping", str(options.get("pattern", ""))).search(format_value(value)):
        found = options.get("result")
    return found if isinstance(found, Mapping) else {}


def _is_number(key: str, value: float) -> bool:
    try:
        return float(key) == value
    except ValueError:
        return False


def _mapped_text(mappings: tuple[dict[str, Any], ...], text: str) -> Mapping[str, Any]:
    for mapping in mappings:
        kind, options = mapping.get("type"), mapping.get("options") or {}
        found: Any = None
        if kind == "value":
            found = options.get(text)
        elif kind == "regex" and compiled("mapping", str(options.get("pattern", ""))).search(text):
            found = options.get("result")
        if isinstance(found, Mapping):
            return found
    return {}
