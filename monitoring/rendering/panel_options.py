"""Options that several kinds of panels have in common."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import ValidationError, field_validator

from app.domain.errors import InvalidInputError
from monitoring.rendering.dashboard import GrafanaModel, Panel, first_fault
from monitoring.rendering.series import REDUCTIONS

_Options = TypeVar("_Options", bound=GrafanaModel)


class ReduceOptions(GrafanaModel):
    """How a series becomes one number; with `values` every row is shown instead."""

    calcs: tuple[str, ...] = ("lastNotNull",)
    values: bool = False
    limit: int | None = None

    @field_validator("calcs")
    @classmethod
    def _known(cls, calcs: tuple[str, ...]) -> tuple[str, ...]:
        return known_reductions(calcs) or ("lastNotNull",)


class LegendOptions(GrafanaModel):
    """What the legend shows."""

    display_mode: Literal["list", "table", "hidden"] = "list"
    show_legend: bool = True
    calcs: tuple[str, ...] = ()

    @field_validator("calcs")
    @classmethod
    def _known(cls, calcs: tuple[str, ...]) -> tuple[str, ...]:
        return known_reductions(calcs)


class SeriesOptions(GrafanaModel):
    """Options of panels with a legend."""

    legend: LegendOptions = LegendOptions()


class ValueOptions(GrafanaModel):
    """Options of panels that show one number a series."""

    reduce_options: ReduceOptions = ReduceOptions()
    text_mode: str = "auto"
    color_mode: str = "value"
    graph_mode: str = "none"
    orientation: str = "auto"


def read_options(kind: type[_Options], panel: Panel) -> _Options:
    """Return a panel's options.

    Raises:
        InvalidInputError: One of them cannot be used; the text names panel and field.
    """
    try:
        return kind.model_validate(panel.options)
    except ValidationError as error:
        raise InvalidInputError(f"panel {panel.title!r}", f"options.{first_fault(error)}") from None


def known_reductions(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names; raise ValueError for one that we cannot compute."""
    unknown = [name for name in names if name not in REDUCTIONS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no calculation that we know: {', '.join(REDUCTIONS)}")
    return names
