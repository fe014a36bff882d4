from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from app.cli.exit_codes import ExitCode
from app.cli.main import main
from app.event_only import EVENT_ONLY
from tests.dashboard_samples import samples
from tests.prometheus_server import running_prometheus
from tests.servers import free_port

_FOLDER = Path(__file__).parent / "dashboards"
_TIMES = ("--from", "1h", "--to", "2026-03-01T12:00:00", "--scrape-interval", "15s")
_HOSTILE = "<script>alert(1)</script><img src=x onerror=y>]]>&amp;"


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Render = Callable[..., Outcome]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), samples=samples(hostile=_HOSTILE)) as url:
        yield url


@pytest.fixture
def render(prometheus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Render:
    def run(*arguments: str | Path, url: str = prometheus, times: Sequence[str] = _TIMES) -> Outcome:
        words = ["dashboards", "render", "--prometheus", url, "--output", tmp_path / "out", *times, *arguments]
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def pages(render: Render, tmp_path: Path) -> str:
    outcome = render(_FOLDER / "kinds.json", "--svg")
    assert (outcome.code, outcome.err.count("wrote")) == (0, 2)
    return (tmp_path / "out" / "kinds.html").read_text()


def board(tmp_path: Path, *panels: dict[str, Any], **fields: Any) -> Path:
    file = tmp_path / "made.json"
    whole = [{"id": number, "gridPos": {"w": 12, "h": 8}, **panel} for number, panel in enumerate(panels, 1)]
    file.write_text(json.dumps({"title": "Made", "uid": "made", "schemaVersion": 39, "panels": whole, **fields}))
    return file


def panel(expr: str, kind: str = "timeseries", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "title": "Panel", "targets": [{"refId": "A", "expr": expr}], **fields}


def part(page: str, number: int) -> str:
    """Return the HTML of one panel."""
    found = re.search(rf'<section class="panel[^>]*id="panel-{number}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def drawing(page: str, number: int) -> ET.Element:
    """Return the chart of one panel, parsed as XML."""
    found = re.search(r'<svg role="img".*</svg>(?=</div>)', part(page, number), re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])


def texts(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter("text")]


def test_a_stat_shows_the_last_value_and_stats_of_several_series_their_names(pages: str) -> None:
    assert texts(drawing(pages, 1)) == ["65"]
    assert texts(drawing(pages, 2)) == ["default", "65", "slow", "65"]
    assert texts(drawing(pages, 5)) == ["closed"]


def test_a_stat_takes_its_colour_from_the_thresholds(pages: str) -> None:
    (number,) = drawing(pages, 1).iter("text")
    assert number.get("fill") == "var(--red)"


def test_a_gauge_and_bars_show_how_far_values_have_come(pages: str) -> None:
    assert texts(drawing(pages, 3)) == ["10.9%"]
    assert texts(drawing(pages, 4)) == ["amazon", "12%", "mercadolivre", "32%", "shopee", "52%"]
    widths = [bar.get("width") for bar in drawing(pages, 4).iter("rect") if bar.get("fill")]
    assert widths == ["12%", "32%", "52%"]


def test_lines_have_axes_thresholds_events_and_a_legend_with_figures(pages: str) -> None:
    chart = drawing(pages, 7)
    assert {"0", "20", "40", "60", "80", "11:00", "12:00"} <= set(texts(chart))
    kinds = [line.get("class") for line in chart.iter("line")]
    assert (kinds.count("threshold"), kinds.count("event")) == (1, 1)
    assert len([path for path in chart.iter("path") if path.get("class") == "line"]) == 2
    legend = part(pages, 7).partition('class="legend"')[2]
    assert re.findall(r"<t[hd][^>]*>(?:<svg.*?</svg>)?([^<]+)", legend) == [
        *("Name", "Last", "Max"),
        *("default", "58", "65"),
        *("slow", "7", "65"),
    ]


def test_stacked_series_stand_on_each_other(pages: str) -> None:
    tops = [min(ys(path)) for path in drawing(pages, 8).iter("path") if path.get("class") == "line"]
    assert tops == sorted(tops)
    assert len(set(tops)) == 3


def ys(path: ET.Element) -> list[float]:
    return [float(pair.partition(",")[2]) for pair in re.findall(r"[-\d.]+,[-\d.]+", path.get("d") or "")]


def test_a_second_axis_has_a_unit_of_its_own(pages: str) -> None:
    assert "200 ms" in texts(drawing(pages, 9))


def test_a_heatmap_has_a_row_for_each_bucket(pages: str) -> None:
    names = texts(drawing(pages, 10))
    assert [name for name in names if ":" not in name] == ["100 ms", "500 ms", "1 s", "5 s", "+Inf"]
    assert [path for path in drawing(pages, 10).iter("path") if path.get("class") == "cells"]


def test_a_bucket_holds_only_what_is_above_the_one_below(render: Render, tmp_path: Path) -> None:
    # Three were faster than 0.1 s and nobody was slower, so that the bucket up to 1 s adds nothing.
    expr = "label_replace(vector(3), 'le', '0.1', '', '') or label_replace(vector(3), 'le', '1', '', '')"
    target = {"refId": "A", "expr": expr, "format": "heatmap"}
    assert render(board(tmp_path, {"type": "heatmap", "title": "H", "targets": [target]})).code == ExitCode.OK
    chart = drawing((tmp_path / "out" / "made.html").read_text(), 1)
    (cells,) = [path.get("d") or "" for path in chart.iter("path") if path.get("class") == "cells"]
    (top,) = {float(found) for found in re.findall(r"M[\d.]+,([\d.]+)", cells)}
    assert top == pytest.approx(float(chart.get("height") or 0) / 2, abs=1)


def test_states_are_told_by_word_and_pattern_and_not_by_colour_alone(pages: str) -> None:
    chart = drawing(pages, 11)
    assert texts(chart).count("half open") == 2
    fills = {rect.get("fill") for rect in chart.iter("rect")}
    assert {"url(#pattern-1)", "url(#pattern-2)"} <= fills
    assert 'id="pattern-2"' in pages
    assert "mercadolivre: half open, 2026-03-01 11:10:00 to 2026-03-01 11:20:00 UTC" in part(pages, 11)


def test_a_table_joins_orders_and_links_its_rows(pages: str) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", part(pages, 12), re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]
    assert cells == [
        ["Agent", "Errors", "State"],
        ["shopee", "52%", "closed"],
        ["mercadolivre", "32%", "closed"],
        ["amazon", "12%", "closed"],
    ]
    assert 'scope="col"' in rows[0]
    assert 'scope="row"' in rows[1]


def test_words_are_markdown_without_html(pages: str) -> None:
    words = part(pages, 13)
    assert "<strong>All</strong>" in words
    assert "&lt;b&gt;no HTML&lt;/b&gt;" in words


def test_firing_alerts_are_listed_most_severe_first(pages: str) -> None:
    assert re.findall(r"RedisDown|QueueBackedUp", part(pages, 14)) == ["RedisDown", "QueueBackedUp"]


def test_a_panel_without_data_says_what_the_dashboard_says(pages: str) -> None:
    assert '<div class="message">no dead letters</div>' in part(pages, 16)


def test_a_gap_is_not_joined(pages: str) -> None:
    (line,) = [path for path in drawing(pages, 17).iter("path") if path.get("class") == "line"]
    # A NaN, an infinity and twenty minutes without samples part the hour into four.
    assert (line.get("d") or "").count("M") == 4


def test_the_page_tells_time_variables_and_links(pages: str) -> None:
    header = pages.partition("</header>")[0]
    for text in ("2026-03-01 11:00:00 to 2026-03-01 12:00:00 UTC", "<dt>Queue:</dt> <dd>All</dd>", "Deploy"):
        assert text in header
    assert 'href="https://example.org/runbooks/queue?var-queue=default%2Cslow"' in pages
    assert "A job waits until a worker has a free thread." in part(pages, 1)


def test_the_page_is_whole_in_itself(pages: str) -> None:
    assert '<html lang="en">' in pages
    assert not re.search(r"<script|<link|<img|@import|src=|url\((?!#)", pages)
    assert "prefers-color-scheme:dark" in pages
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+', pages)) == pages.count('role="img"')
    assert re.findall(r'id="([^"]+)"', pages) == list(dict.fromkeys(re.findall(r'id="([^"]+)"', pages)))


def test_a_picture_is_small_well_formed_and_of_svg_only(pages: str, tmp_path: Path) -> None:
    assert pages
    file = tmp_path / "out" / "kinds.svg"
    root = ET.parse(file).getroot()
    assert file.stat().st_size < 150_000
    assert {element.tag.partition("}")[2] for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "defs", "pattern", "rect", "text", "line", "path")
    }
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Every kind of panel", "Queue depth", "shopee", "RedisDown"} <= set(words)


def test_the_same_answers_give_the_same_bytes(render: Render, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        render(_FOLDER / "kinds.json", "--svg")
        found.append([(tmp_path / "out" / name).read_bytes() for name in ("kinds.html", "kinds.svg")])
    assert found[0] == found[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_can_be_fixed(theme: str, render: Render, tmp_path: Path) -> None:
    render(_FOLDER / "second.json", "--theme", theme, "--svg")
    for name in ("second.html", "second.svg"):
        text = (tmp_path / "out" / name).read_text()
        assert "prefers-color-scheme" not in text
        assert f"color-scheme:{theme}" in text
    assert "var(--" not in (tmp_path / "out" / "second.svg").read_text()


@pytest.mark.parametrize(
    "kind", ["stat", "timeseries", "gauge", "bargauge", "state-timeline", "heatmap", "table", "alertlist"]
)
def test_hostile_texts_stay_texts(kind: str, render: Render, tmp_path: Path) -> None:
    evil = {"title": _HOSTILE, "description": _HOSTILE, "links": [{"title": _HOSTILE, "url": "javascript:alert(1)"}]}
    target = {"refId": "A", "expr": "test_hostile", "legendFormat": "{{name}}", "instant": kind == "table"}
    file = board(tmp_path, {"type": kind, **evil, "targets": [target]}, title=_HOSTILE, description=_HOSTILE)
    assert render(file, "--svg").code == 0
    page = (tmp_path / "out" / "made.html").read_text()
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<img|javascript:", page)
    ET.parse(tmp_path / "out" / "made.svg")
    if kind not in {"table", "alertlist"}:
        drawing(page, 1)


def test_hostile_words_stay_words(render: Render, tmp_path: Path) -> None:
    content = f"{_HOSTILE}\n\n[x](javascript:alert(1)) ![y](http://example.org/z.png) <iframe src=x>"
    file = board(tmp_path, {"type": "text", "title": "T", "options": {"content": content}})
    assert render(file).code == 0
    page = (tmp_path / "out" / "made.html").read_text()
    assert not re.search(r'<script|<img|<iframe|href="javascript:', page)


def test_every_query_is_listed_as_it_was_asked(render: Render) -> None:
    outcome = render(_FOLDER / "kinds.json", "--json", "--var", "queue=slow")
    assert outcome.code == 0
    panels = {one["panel"]: one for one in outcome.document["panels"]}
    (target,) = panels["Depth"]["targets"]
    assert (target["refId"], target["expr"], target["error"]) == ("A", 'test_depth{queue=~"slow"}', None)
    assert (target["series"], target["points"]) == (1, 241)
    assert panels["Finished jobs"]["targets"][0]["expr"] == "sum by (outcome) (rate(test_finished_total[1m]))"
    assert panels["Deploy"]["type"] == "annotation"
    assert panels["Nothing here"]["empty"]


def test_no_step_is_shorter_than_the_pause_between_scrapes_that_the_settings_name(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = []
    for every in ("15", "10"):
        monkeypatch.setenv("MARKETPLACE_MONITORING__SCRAPE_SECONDS", every)
        panels = render(_FOLDER / "kinds.json", "--json", times=_TIMES[:-2]).document["panels"]
        points += [target["points"] for one in panels if one["panel"] == "Depth" for target in one["targets"]]
    assert points[0] == 2 * 241
    assert points[1] > points[0]


def test_a_query_that_is_refused_fails_the_run_and_is_shown_in_its_panel(render: Render, tmp_path: Path) -> None:
    file = board(tmp_path, panel("sum(("), panel("test_pool", title="Well"))
    outcome = render(file, "--json")
    assert outcome.code == ExitCode.CHECK_FAILED
    (broken, well) = outcome.document["panels"]
    assert "sum((: bad_data: " in broken["targets"][0]["error"]
    assert "parse error" in broken["targets"][0]["error"]
    assert (well["targets"][0]["error"], well["empty"]) == (None, False)
    page = (tmp_path / "out" / "made.html").read_text()
    assert "Query failed" in part(page, 1)
    assert "parse error" in part(page, 1)


def test_refused_queries_of_variables_and_annotations_fail_the_run_too(render: Render, tmp_path: Path) -> None:
    variable = {"name": "v", "type": "query", "query": "label_values(up{, job)"}
    annotation = {"name": "Flip", "enable": True, "expr": "rate("}
    lists = {"templating": {"list": [variable]}, "annotations": {"list": [annotation]}}
    outcome = render(board(tmp_path, panel("test_pool"), **lists))
    assert outcome.code == ExitCode.CHECK_FAILED
    assert "variable 'v': label_values(up{, job)" in outcome.err
    assert "annotation 'Flip': rate(" in outcome.err


def test_an_empty_panel_is_no_fault_unless_data_are_required(render: Render, tmp_path: Path) -> None:
    file = board(tmp_path, panel("test_absent", title="Gone"), panel("test_pool", title="Here"))
    assert render(file).code == ExitCode.OK
    outcome = render(file, "--require-data")
    assert outcome.code == ExitCode.CHECK_FAILED
    assert "made: panel 'Gone' has no data\n" in outcome.err
    assert "Here" not in outcome.err


def test_nan_alone_is_no_data(render: Render, tmp_path: Path) -> None:
    assert render(board(tmp_path, panel("0 * test_pool / 0")), "--require-data").code == ExitCode.CHECK_FAILED


def test_a_panel_that_says_it_may_be_empty_may_be(render: Render, tmp_path: Path) -> None:
    file = board(tmp_path, panel("test_absent", description=f"Dead letters. {EVENT_ONLY}."))
    assert render(file, "--require-data").code == ExitCode.OK


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"type": "piechart"}, "panels of type 'piechart' are not supported"),
        ({"type": "table", "transformations": [{"id": "calculateField"}]}, "transformation 'calculateField'"),
    ],
    ids=["type", "transformation"],
)
def test_what_cannot_be_drawn_is_named(change: dict[str, Any], text: str, render: Render, tmp_path: Path) -> None:
    outcome = render(board(tmp_path, {**panel("test_pool"), **change}))
    assert outcome.code == ExitCode.CHECK_FAILED
    assert text in outcome.err
    assert (tmp_path / "out" / "made.html").exists()


def test_an_option_that_cannot_be_used_is_named_with_its_panel(render: Render, tmp_path: Path) -> None:
    options = {"reduceOptions": {"calcs": ["guess"]}}
    outcome = render(board(tmp_path, panel("test_pool", kind="stat", options=options)))
    assert outcome.code == ExitCode.USAGE
    assert "made: panel 'Panel': options.reduceOptions.calcs" in outcome.err


def test_many_series_are_bounded_and_the_page_says_so(render: Render, tmp_path: Path) -> None:
    expr = "label_replace(test_seconds_bucket, 'x', '$1', 'le', '(.*)')"
    many = " or ".join(f"label_replace(test_pool, 'n', '{number}', '', '')" for number in range(70))
    assert render(board(tmp_path, panel(many), panel(expr))).code == ExitCode.OK
    assert "60 of 70 series are shown" in (tmp_path / "out" / "made.html").read_text()


@pytest.mark.parametrize("begin", ["24h", "7d", "30d"])
def test_long_ranges_are_drawn_with_few_points(begin: str, render: Render) -> None:
    outcome = render(_FOLDER / "kinds.json", "--json", times=("--from", begin, "--to", "2026-03-01T12:00:00"))
    assert outcome.code == ExitCode.OK
    asked = [target for one in outcome.document["panels"] for target in one["targets"]]
    assert all(target["points"] <= 1500 * max(target["series"], 1) for target in asked)


def test_a_busy_dashboard_is_still_a_small_picture(render: Render, tmp_path: Path) -> None:
    flapping = "label_replace(floor(test_latency * 1e6) % 3, 'agent', '{}', '', '')"
    lanes = " or ".join(flapping.format(number) for number in range(8))
    wild = " or ".join(
        f"label_replace(floor(test_latency * {number + 3}e5) % 97, 'n', '{number}', '', '')" for number in range(20)
    )
    panels = [panel(lanes, kind="state-timeline"), *(panel(wild) for _ in range(4)), panel(wild, kind="heatmap")]
    assert render(board(tmp_path, *panels), "--svg", "--scrape-interval", "1s").code == ExitCode.OK
    assert (tmp_path / "out" / "made.svg").stat().st_size <= 150_000
    assert (tmp_path / "out" / "made.html").stat().st_size < 3_000_000


def test_without_a_server_the_run_ends_with_a_clear_text(render: Render) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = render(_FOLDER / "second.json", url=url)
    assert outcome.code == ExitCode.UNREACHABLE
    assert outcome.err == f"error: Prometheus at {url} cannot be reached (ConnectionError)\n"


def test_a_password_in_the_address_is_never_printed(render: Render) -> None:
    outcome = render(_FOLDER / "second.json", url=f"http://user:hunter2@127.0.0.1:{free_port()}")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "hunter2" not in outcome.err + outcome.out


def test_without_an_address_and_a_stack_the_option_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["dashboards", "render", str(_FOLDER / "second.json"), "--output", "out"])
    assert ended.value.code == ExitCode.USAGE
    assert "--prometheus" in capsys.readouterr().err


def test_the_stack_that_runs_here_is_the_default(
    prometheus: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run.json").write_text(json.dumps({"urls": {"prometheus": prometheus}}))
    with pytest.raises(SystemExit) as ended:
        main(["dashboards", "render", str(_FOLDER / "second.json"), "--json", *_TIMES])
    assert ended.value.code == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["prometheus"] == prometheus
    assert not (tmp_path / "out").exists()


def test_all_dashboards_are_drawn_with_an_index(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.rendering.command.dashboard_files", lambda: sorted(_FOLDER.glob("*.json")))
    assert render().code == ExitCode.OK
    index = (tmp_path / "out" / "index.html").read_text()
    assert re.findall(r'href="([^"]+)"', index) == ["kinds.html", "second.html"]
    assert 'href="second.html"' in (tmp_path / "out" / "kinds.html").read_text()


def test_the_dashboards_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.rendering.command.dashboard_files", lambda: sorted(_FOLDER.glob("*.json")))
    with pytest.raises(SystemExit):
        main(["dashboards", "list", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["title"]) for one in listed] == [("kinds", "Every kind of panel"), ("second", "Second")]
