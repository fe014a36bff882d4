from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

import pytest

from app.domain.errors import InvalidInputError, NotFoundError
from monitoring.rendering.dashboard import FieldConfig, Link, read_dashboard
from monitoring.rendering.dashboard_files import named_file
from monitoring.rendering.field_display import FieldDisplay, display_for
from monitoring.rendering.links import KnownPage, Links
from monitoring.rendering.svg import element
from monitoring.rendering.theme import contrast, css, paint, palette
from monitoring.rendering.variables import Value, Variables

_BOARD: dict[str, Any] = {"title": "T", "schemaVersion": 39, "panels": [{"type": "stat", "title": "P"}]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schemaVersion": 12}, "schemaVersion: Input should be greater than or equal to 39"),
        ({"title": None}, "title: Field required"),
        ({"panels": []}, "a dashboard without panels"),
        ({"panels": [{"title": "no type"}]}, "panels.0.type: Field required"),
        ({"panels": [{"type": "stat", "gridPos": {"w": 99}}]}, "panels.0.gridPos.w: Input should be less"),
        ({"templating": {"list": [{"type": "query"}]}}, "templating.list.0.name: Field required"),
    ],
    ids=["old", "no_title", "no_panels", "no_type", "too_wide", "variable"],
)
def test_a_fault_names_file_and_field(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({**_BOARD, **change}))
    with pytest.raises(InvalidInputError, match=re.escape(text)) as raised:
        read_dashboard(file)
    assert str(file) in str(raised.value)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InvalidInputError, match="is not JSON"):
        read_dashboard(tmp_path / "x.json")


def test_null_means_not_given(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    step = {"color": "green", "value": "null"}
    panel = {"type": "stat", "description": None, "fieldConfig": {"defaults": {"thresholds": {"steps": [step]}}}}
    file.write_text(json.dumps({**_BOARD, "panels": [panel], "links": None}))
    (read,) = read_dashboard(file).panels
    assert read.description == ""
    assert read.field_config.defaults.thresholds.steps[0].value is None


@pytest.mark.parametrize("name", ["nothing", "nothing.json", "../monitoring"])
def test_a_dashboard_that_does_not_exist_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        named_file(name, tmp_path)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_can_be_read_on_its_background(theme: Literal["light", "dark"]) -> None:
    colours = palette(theme)
    texts = {name: colour for name, colour in colours.items() if name not in {"page", "panel", "line", "grid"}}
    weak = {name: contrast(colour, colours["panel"]) for name, colour in texts.items()}
    assert {name: value for name, value in weak.items() if value < 4.5} == {}
    assert all(contrast(colours[name], colours["page"]) >= 4.5 for name in ("text", "muted", "blue"))


@pytest.mark.parametrize(
    "name", ["green", "dark-red", "super-light-blue", "#F2495C", "#fff", "rgb(1, 2, 3)", "nonsense"]
)
def test_every_colour_of_the_json_is_one_of_ours(name: str) -> None:
    (variable,) = re.fullmatch(r"var\(--([a-z-]+)\)", paint(name)).groups()  # type: ignore[union-attr]
    assert variable in palette("light")
    assert f"--{variable}:" in css("auto")


def test_markup_in_texts_and_attributes_stays_text() -> None:
    drawn = element("text", '<script>&"', "\x00\x0b", title='"><script>')
    (text,) = [ET.fromstring(drawn)]
    assert text.text == '<script>&"\ufffd\ufffd'
    assert text.get("title") == '"><script>'


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScRiPt:x", " java\nscript:x", "data:text/html,x", "vbscript:x"]
)
def test_a_link_that_runs_something_is_no_link(url: str) -> None:
    assert Links([]).address(url) == ""


def test_links_to_dashboards_lead_to_their_pages() -> None:
    links = Links([KnownPage("queues", "Queues", "queues.html", ("marketplace",)), KnownPage("x", "X", "x.html")])
    assert links.address("/d/queues/any?viewPanel=panel-7&var-a=b") == "queues.html#panel-7"
    assert links.address("/d/elsewhere/any") == ""
    assert links.address("https://grafana.example/d/queues/any") == "https://grafana.example/d/queues/any"
    by_tag = links.of([Link(type="dashboards", tags=("marketplace",))], Variables({}))
    assert [(link.title, link.url) for link in by_tag] == [("Queues", "queues.html")]
    hostile = Variables({"v": Value(("javascript:alert(1)",))})
    assert [link.url for link in links.of([Link(title="t", url="$v")], hostile)] == ["javascript%3Aalert%281%29"]


def display(name: str, kind: Literal["number", "string"] = "number", **config: Any) -> FieldDisplay:
    return display_for(FieldConfig.model_validate(config), name, kind=kind, ref_id="B")


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        ({"id": "byName", "options": "errors"}, True),
        ({"id": "byName", "options": "error"}, False),
        ({"id": "byRegexp", "options": "/^err/"}, True),
        ({"id": "byType", "options": "number"}, True),
        ({"id": "byType", "options": "time"}, False),
        ({"id": "byFrameRefID", "options": "B"}, True),
        ({"id": "unheardOf", "options": "errors"}, False),
    ],
    ids=lambda value: f"{value['id']}-{value['options']}" if isinstance(value, dict) else str(value),
)
def test_an_override_is_for_the_fields_that_match(matcher: dict[str, Any], *, matches: bool) -> None:
    properties = [{"id": "unit", "value": "s"}, {"id": "custom.stacking", "value": {"mode": "normal"}}]
    found = display("errors", defaults={"unit": "short"}, overrides=[{"matcher": matcher, "properties": properties}])
    assert found.text(2) == ("2 s" if matches else "2")
    assert found.custom("stacking.mode") == ("normal" if matches else None)


def test_a_value_takes_text_and_colour_of_its_mapping_before_those_of_thresholds() -> None:
    mappings = [
        {"type": "value", "options": {"0": {"text": "closed", "color": "green"}}},
        {"type": "range", "options": {"from": 5, "to": 9, "result": {"text": "many"}}},
        {"type": "special", "options": {"match": "nan", "result": {"text": "unknown"}}},
    ]
    thresholds = {"steps": [{"color": "blue", "value": None}, {"color": "red", "value": 5}]}
    found = display("x", defaults={"mappings": mappings, "thresholds": thresholds, "color": {"mode": "thresholds"}})
    assert [found.text(value) for value in (0, 3, 7, float("nan"))] == ["closed", "3", "many", "unknown"]
    assert [found.colour(value) for value in (0, 3, 7)] == ["var(--green)", "var(--blue)", "var(--red)"]


def test_thresholds_may_be_parts_of_the_range() -> None:
    thresholds = {"mode": "percentage", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}]}
    found = display("x", defaults={"min": 0, "max": 50, "thresholds": thresholds})
    assert [found.threshold_colour(value) for value in (39, 40)] == ["var(--green)", "var(--red)"]


@pytest.mark.parametrize("options", ["[", "/(/"])
def test_an_expression_that_is_none_is_named(options: str) -> None:
    override = {"matcher": {"id": "byRegexp", "options": options}, "properties": []}
    with pytest.raises(InvalidInputError, match=r"override: .* is no regular expression"):
        display("errors", overrides=[override])


def test_an_option_that_must_be_a_number_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"custom.lineWidth: 'thick' is no number"):
        display("errors", defaults={"custom": {"lineWidth": "thick"}}).measure("lineWidth", 1)
