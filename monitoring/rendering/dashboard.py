"""Grafana's dashboard JSON (schema version 39 and later) as types: what we draw of it, and nothing else.

Source of the fields: the models of grafana-foundation-sdk 11.6. Keys that are not named here are ignored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from app.domain.errors import InvalidInputError, NotFoundError

#: First schema version that we read: older ones are converted by Grafana on load, which we do not do.
OLDEST_SCHEMA = 39


class GrafanaModel(BaseModel):
    """Base of everything read from the JSON: immutable, camelCase, unknown keys ignored, null means "not given"."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class GridPos(GrafanaModel):
    """Place of a panel in a grid of 24 columns."""

    x: int = Field(0, ge=0, le=23)
    y: int = Field(0, ge=0)
    w: int = Field(12, ge=1, le=24)
    h: int = Field(8, ge=1, le=100)


class Target(GrafanaModel):
    """One query of a panel. `interval` is the smallest step, as `30s`."""

    ref_id: str = "A"
    expr: str = ""
    legend_format: str = "__auto"
    instant: bool = False
    range: bool | None = None
    format: str = "time_series"
    hide: bool = False
    interval: str = ""


class ThresholdStep(GrafanaModel):
    """From `value` on, None for "from the lowest value on", the colour is this one."""

    color: str
    value: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_text(cls, data: object) -> object:
        """Read the string `null`, which grafanalib's `Threshold(index=0)` writes, as null."""
        if isinstance(data, dict) and data.get("value") == "null":
            return {**data, "value": None}
        return data


class Thresholds(GrafanaModel):
    """Steps in rising order; in mode `percentage` they are parts of the range from min to max."""

    mode: str = "absolute"
    steps: tuple[ThresholdStep, ...] = ()


class ColourMode(GrafanaModel):
    """Where the colour of a value or series comes from."""

    mode: str = "palette-classic"
    fixed_color: str = "blue"


class Link(GrafanaModel):
    """A link of a dashboard, panel or cell; `type` is `dashboards` for a list of dashboards with the given tags."""

    title: str = ""
    url: str = ""
    type: str = "link"
    tags: tuple[str, ...] = ()


class FieldOptions(GrafanaModel):
    """How a field's values are shown."""

    unit: str = ""
    min: float | None = None
    max: float | None = None
    decimals: int | None = Field(None, ge=0, le=20)
    no_value: str | None = None
    display_name: str | None = None
    color: ColourMode | None = None
    thresholds: Thresholds = Thresholds()
    mappings: tuple[dict[str, Any], ...] = ()
    links: tuple[Link, ...] = ()
    custom: dict[str, Any] = Field(default_factory=dict)


class Matcher(GrafanaModel):
    """Which fields an override is for."""

    id: str
    options: Any = None


class Property(GrafanaModel):
    """One overridden option, as `unit` or `custom.width`."""

    id: str
    value: Any = None


class Override(GrafanaModel):
    """Options of the fields that match."""

    matcher: Matcher
    properties: tuple[Property, ...] = ()


class FieldConfig(GrafanaModel):
    """Options of all fields, and exceptions."""

    defaults: FieldOptions = FieldOptions()
    overrides: tuple[Override, ...] = ()


class Transformation(GrafanaModel):
    """One step that changes the table."""

    id: str
    disabled: bool = False
    options: dict[str, Any] = Field(default_factory=dict)


class Panel(GrafanaModel):
    """One panel; a collapsed row holds its panels itself."""

    id: int = 0
    type: str
    title: str = ""
    description: str = ""
    grid_pos: GridPos = GridPos()
    targets: tuple[Target, ...] = ()
    field_config: FieldConfig = FieldConfig()
    options: dict[str, Any] = Field(default_factory=dict)
    transformations: tuple[Transformation, ...] = ()
    links: tuple[Link, ...] = ()
    interval: str = ""
    collapsed: bool = False
    repeat: str = ""
    panels: tuple[Panel, ...] = ()


class Variable(GrafanaModel):
    """One variable of the dashboard; `query` is a text, or an object with one, by its type and age."""

    name: str
    type: str = "query"
    label: str = ""
    query: Any = ""
    regex: str = ""
    current: dict[str, Any] = Field(default_factory=dict)
    options: tuple[dict[str, Any], ...] = ()
    multi: bool = False
    include_all: bool = False
    all_value: str = ""
    hide: int = 0


class Annotation(GrafanaModel):
    """One query for vertical lines; `target` is where newer versions keep the expression."""

    name: str = ""
    enable: bool = True
    hide: bool = False
    icon_color: str = "red"
    expr: str = ""
    title_format: str = ""
    text_format: str = ""
    target: dict[str, Any] = Field(default_factory=dict)

    @property
    def query(self) -> str:
        """The expression, empty for annotations that are not Prometheus's."""
        return self.expr or str(self.target.get("expr", ""))


class AnnotationList(GrafanaModel):
    """Grafana's wrapper of the annotations."""

    list: tuple[Annotation, ...] = ()


class VariableList(GrafanaModel):
    """Grafana's wrapper of the variables."""

    list: tuple[Variable, ...] = ()


class TimeSpan(GrafanaModel):
    """The range that the dashboard opens with, as `now-6h` to `now`."""

    from_: str = Field("now-6h", alias="from")
    to: str = "now"


class Dashboard(GrafanaModel):
    """One dashboard."""

    title: str
    uid: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    schema_version: int = Field(ge=OLDEST_SCHEMA)
    panels: tuple[Panel, ...] = ()
    templating: VariableList = VariableList()
    annotations: AnnotationList = AnnotationList()
    links: tuple[Link, ...] = ()
    time: TimeSpan = Field(default_factory=lambda: TimeSpan.model_validate({}))

    @model_validator(mode="after")
    def _has_panels(self) -> Self:
        if not self.panels:
            raise ValueError("a dashboard without panels")
        return self


def read_dashboard(path: Path) -> Dashboard:
    """Return the dashboard in a file.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is no dashboard of a version that we read; the text names file and field.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise NotFoundError(f"there is no dashboard {path}") from None
    except OSError as error:
        raise InvalidInputError(str(path), f"cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InvalidInputError(str(path), f"is not JSON ({error})") from None
    try:
        return Dashboard.model_validate(document)
    except ValidationError as error:
        raise InvalidInputError(str(path), first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """Return field and text of the first fault, and how many more there are."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    place = ".".join(str(part) for part in faults[0]["loc"])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{place}: {faults[0]['msg']}{more}" if place else f"{faults[0]['msg']}{more}"
