"""The report in a browser: it draws, sorts and filters, and asks nothing of the network."""

import io
import shutil

import numpy as np
import pytest
from matplotlib.image import imread
from studies import halved, made_up

from jaxopt_edu.view.report import report_html

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the PATH")
CHARTS = ("parallel", "history", "curves", "rungs", "pareto", "slices", "contour", "divergence",
          "timeline")  # fmt: skip


@pytest.fixture(scope="module")
def study():
    study = halved(made_up(64, numbers=2, choices=(2,), dead=(1, 5, 9)), repeats=2)
    study.columns["validation_accuracy"] = 0.9 - study.columns["validation_loss"] / 20
    return study


@pytest.fixture(scope="module")
def heard():
    """What the page asked for and complained about."""
    return {"request": [], "console": [], "pageerror": []}


@pytest.fixture(scope="module")
def page(study, heard, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_html(study))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.on("request", lambda request: heard["request"].append(request.url))
        page.on("console", lambda m: m.type == "error" and heard["console"].append(m.text))
        page.on("pageerror", lambda error: heard["pageerror"].append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn=all]", state="attached")
        yield page
        browser.close()
    assert heard["request"] == [file.as_uri()]
    assert not heard["console"] and not heard["pageerror"]


def shown(page):
    """The trials in the table, in order."""
    rows = "rows => rows.filter(r => !r.hidden).map(r => Number(r.dataset.trial))"
    return page.eval_on_selector_all("#trials tbody tr", rows)


def drag(page, axis, start, end):
    """Brushes a part of an axis of the parallel coordinates, from 0 at the top to 1."""
    labels = page.eval_on_selector_all("#parallel .axis-title", "x => x.map(t => t.textContent)")
    box = page.locator("#parallel .axis-brush .background").nth(labels.index(axis)).bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + start * box["height"])
    page.mouse.down()
    page.mouse.move(x, box["y"] + end * box["height"], steps=4)
    page.mouse.up()


def brush(page, axis):
    """The ends of the brush of an axis, as soon as it has one."""
    label = f"parallel.data[0].dimensions.find(d => d.label == '{axis}')"
    page.wait_for_function(f"{label}.constraintrange")
    return page.evaluate(f"{label}.constraintrange")


def test_every_chart_is_drawn(page):
    assert page.eval_on_selector_all(".chart", "charts => charts.map(c => c.id)") == list(CHARTS)
    marks = ".scatterlayer path, .heatmaplayer image, .contourlayer path, canvas"
    for chart in CHARTS:
        assert page.locator(f"#{chart} svg.main-svg").count() >= 1, chart
        assert page.locator(f"#{chart}").locator(marks).count() > 2, chart


def test_the_lines_of_the_parallel_coordinates_have_their_colours(page):
    picture = imread(io.BytesIO(page.locator("#parallel").screenshot()))[100:400, 100:1000, :3]
    coloured = np.ptp(picture, axis=2) > 0.3
    assert np.mean(coloured) > 0.01


def test_a_click_on_a_head_sorts_both_ways_with_empty_cells_last(page, study):
    head = page.locator("#trials thead button", has_text="validation_loss")
    alive = len(study) - study.diverged
    orders = []
    for _ in range(2):
        head.click()
        orders.append(shown(page))
    up, down = orders
    assert up[:alive] == study.order[:alive].tolist()
    assert down[:alive] == up[:alive][::-1]
    assert set(up[alive:]) == set(down[alive:]) == set(study.order[alive:].tolist())
    page.locator("#trials thead button", has_text="part0").click()
    kinds = study.columns["part0"][shown(page)]
    assert kinds.tolist() == sorted(kinds)


def test_brushes_filter_the_table(page, study):
    everything = set(range(len(study)))
    assert set(shown(page)) == everything
    drag(page, "optimizer.number0", 0.3, 0.6)
    page.wait_for_selector("#all:not([hidden])")
    low, high = brush(page, "optimizer.number0")
    places = np.log10(study.columns["optimizer.number0"])
    kept = set(np.flatnonzero((places >= low) & (places <= high)).tolist())
    assert 5 < len(kept) < 50 and set(shown(page)) == kept
    drag(page, "part0", 0.05, 0.4)  # the upper of two values
    low, high = brush(page, "part0")
    assert low == pytest.approx(0.75) and high == pytest.approx(1)
    kept &= set(np.flatnonzero(study.columns["part0"] == "kind1").tolist())
    assert set(shown(page)) == kept
    assert page.locator("#count").inner_text() == f"{len(kept)} of 64 trials"
    marked = "t => (t.selectedpoints ?? [...t.x.keys()]).map(k => t.customdata[k])"
    points = f"document.getElementById('history').data.filter(t => t.customdata).flatMap({marked})"
    page.wait_for_function(f"new Set({points}).size == {len(kept)}")
    assert set(page.evaluate(points)) == kept
    page.locator("#all").click()
    page.wait_for_selector("#all", state="hidden")
    assert set(shown(page)) == everything
    drag(page, "optimizer.number0", 0.3, 0.6)  # brushes go on working
    page.wait_for_selector("#all:not([hidden])")
    assert len(shown(page)) < len(study)
    page.locator("#all").click()


def test_no_button_sends_a_chart_away(page):
    names = page.eval_on_selector_all(".modebar-btn", "x => x.map(b => b.dataset.title)")
    assert set(names) == {
        "Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes",
    }  # fmt: skip


def test_a_list_chooses_the_view_of_a_chart(page):
    title = "document.querySelector('#contour .ytitle').textContent"
    before, views = page.evaluate(title), page.locator("select[data-for=contour]")
    views.select_option(index=2)
    page.wait_for_function(f"{title} != '{before}'")
    views.select_option(index=0)
    page.wait_for_function(f"{title} == '{before}'")
    assert page.evaluate(title) == before


def test_the_page_is_dark_where_the_system_is(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#history .xtitle')).fill"
    light = page.evaluate(ground), page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} != '{light[1]}'")
    assert page.evaluate(ground) != light[0]
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{ink} == '{light[1]}'")
