"""Pages of `Explored`: each position is looked up as it is, by mouse and keyboard, in one file."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.learn import pages
from jaxopt_edu.learn.packing import pack
from jaxopt_edu.learn.results import Explored

CHROMIUM, NODE = shutil.which("chromium"), shutil.which("node")
RATES, MUS = [0.01, 0.1, 1.0, 10.0], [0.0, 0.5, 0.9]


def explored(**change):
    """Made-up results: 4 rates x 3 momenta x 2 seeds x 5 steps; the last rate diverges."""
    rng = np.random.default_rng(0)
    accuracy = rng.integers(0, 361, (4, 3, 2, 5)) / 360
    loss = 10 ** rng.uniform(-2, 1, (4, 3, 2, 5))
    training = np.where(np.arange(4)[:, None, None, None] == 3, np.nan, loss)
    arrays = {"accuracy": accuracy, "loss": loss, "training_loss": training}
    sliders = {"learning_rate": RATES, "momentum": MUS}
    axes = (*sliders, "seed", "step")
    fields = {"sliders": sliders, "axes": axes, "steps": (10, 20, 30, 40, 50), "arrays": arrays}
    return Explored(**fields | change)


def held(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


# ---------------------------------------------------------------------------------------- packing


@pytest.mark.skipif(NODE is None, reason="node is not on the PATH")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("axes", [(), (2,), (2, 0)])
def test_what_is_packed_is_read_by_the_page(bits, axes):
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.normal(size=(3, 4, 50)), axis=2)
    x[1, 2, 7:] = np.nan
    told = json.dumps(pack(x, bits, axes))
    script = (
        pages.part("runtime.js")
        + """
    X.decode(JSON.parse(require("fs").readFileSync(0))).then((a) => {
      const out = [];
      for (let i = 0; i < 3; i++) for (let j = 0; j < 4; j++) for (let k = 0; k < 50; k++)
        out.push(Number.isNaN(a.at(i, j, k)) ? null : a.at(i, j, k));
      console.log(JSON.stringify(out));
    });"""
    )
    done = subprocess.run(
        [NODE, "-e", script], input=told, capture_output=True, text=True, check=True
    )
    found = np.array(json.loads(done.stdout), float).reshape(x.shape)
    half = np.nanmax(x) - np.nanmin(x)
    np.testing.assert_allclose(found, x, atol=0.5001 * half / (2**bits - 2), rtol=0)


def test_counts_stay_exact_and_smooth_curves_small():
    counts = np.arange(361) / 360
    about = pack(counts)
    codes = np.round(counts * (2**16 - 2)) / (2**16 - 2)
    assert (np.round(codes * 360) == np.arange(361)).all() and about["high"] == 1.0
    smooth = np.exp(-np.linspace(0, 5, 200)) * np.ones((50, 1))
    assert len(pack(smooth, 16, (1, 0))["data"]) < 0.1 * smooth.size
    with pytest.raises(ValueError, match="bits = 12"):
        pack(counts, 12)


def test_nothing_finite_is_packed_too():
    about = pack(np.full(3, np.nan))
    assert about["low"] == about["high"] == 0.0


# ------------------------------------------------------------------------------------------- data


def test_what_diverged_has_no_result_and_the_best_is_the_start():
    found = explored()
    name, x = pages.chosen(found, None)
    assert name == "accuracy" and np.isnan(x[3]).all() and np.isfinite(x[:3]).all()
    data = held(pages.page_html(found, None, None, None))
    ends = x[..., -1].mean(2)
    assert data["start"] == list(np.unravel_index(np.nanargmax(ends), ends.shape))
    assert data["seeds"] == 2 and data["steps"] == [10, 20, 30, 40, 50] and not data["log"]


def test_losses_are_drawn_by_their_logarithm_and_less_is_better():
    data = held(pages.page_html(explored(), "loss", None, None))
    assert data["log"] and data["best"] < data["worst"] <= data["best"] + 2
    assert not held(pages.page_html(explored(), "loss", "max", None))["log"]


def test_results_without_seeds_and_steps():
    found = Explored({"a": [1.0, 2.0]}, ("a",), (), np.array([3.0, 4.0]))
    data = held(pages.page_html(found, None, None, "Mine"))
    assert data["name"] == "result" and data["steps"] == [0] and data["seeds"] == 1
    assert data["start"] == [1] and "<h1>Mine</h1>" in pages.page_html(found, None, None, "Mine")
    one = Explored({"a": [1.0, 2.0]}, ("a",), (), np.full(2, np.nan))
    data = held(pages.page_html(one, None, None, None))
    assert data["best"] is data["worst"] is data["worse"] is None


def test_errors_name_the_argument(tmp_path):
    with pytest.raises(ValueError, match="show = 'acuracy'.*accuracy"):
        explored().html(tmp_path / "page.html", show="acuracy")
    with pytest.raises(ValueError, match="better = 'more'"):
        explored().html(tmp_path / "page.html", better="more")
    weights = Explored({"a": [1.0, 2.0]}, ("a",), (), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="no result of one number"):
        weights.html(tmp_path / "page.html")
    for path, more, error, said in (
        (None, {}, TypeError, "path = None: wanted the path of an .html file"),
        (tmp_path / "x.png", {}, ValueError, "path = .*x.png': wanted a name that ends with .html"),
        (tmp_path / "page.html", {"title": 3}, TypeError, "title = 3: wanted text"),
        (tmp_path / "page.html", {"show": 3}, TypeError, "show = 3: wanted text"),
        (tmp_path / "page.html", {"better": 3}, TypeError, "better = 3: wanted text"),
    ):
        with pytest.raises(error, match=said):
            explored().html(path, **more)
    (tmp_path / "page.html").mkdir()
    with pytest.raises(IsADirectoryError, match="page.html' is a directory: wanted a file"):
        explored().html(tmp_path / "page.html")
    (tmp_path / "page.html").rmdir()
    assert explored().html(tmp_path / "page.HTM").exists()
    (tmp_path / "page.HTM").unlink()
    assert list(tmp_path.iterdir()) == [] and weights._repr_html_() is None


def test_a_page_asks_for_nothing_and_text_cannot_break_it(tmp_path):
    sliders = {"</script><b>": ["</script>", "b"], "momentum": MUS}
    x = np.zeros((2, 3))
    page = pages.page_html(Explored(sliders, tuple(sliders), (), x), None, None, "<i>")
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert page.count("</script>") == 3 and "<h1>&lt;i&gt;</h1>" in page
    size = sum(len(pages.part(name).encode()) for name in ("runtime.js", "explored.js"))
    assert len(pages.part("runtime.js")) <= 20_000 and size <= 24_000


def test_a_notebook_shows_it_in_a_frame():
    shown = explored().show(show="loss")._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts"') and "&lt;!doctype html&gt;" in shown
    assert explored()._repr_html_().startswith("<iframe")
    assert re.fullmatch(r"Shown\(a page of \d+ kB\)", repr(explored().show()))


@pytest.mark.parametrize("better", ["min", "max"])
def test_the_share_that_is_worse_than_the_colours_is_told(better):
    x = np.random.default_rng(0).normal(size=(4, 10)) * (1 if better == "min" else -1)
    found = Explored({"a": [0, 1, 2, 3], "b": list(range(10))}, ("a", "b"), (), x)
    data = held(pages.page_html(found, None, better, None))
    share, worst = data["worse"]
    beyond = x > data["worst"] if better == "min" else x < data["worst"]
    assert share == beyond.mean() > 0 and worst == (x.max() if better == "min" else x.min())
    even = Explored({"a": [0.0, 1.0]}, ("a",), (), np.ones(2))
    assert held(pages.page_html(even, None, better, None))["worse"] is None


# ---------------------------------------------------------------------------------------- browser


@pytest.fixture(scope="module")
def open_page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not on the PATH")
    from playwright.sync_api import sync_playwright

    file = explored().html(tmp_path_factory.mktemp("explored") / "page.html")
    heard = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def opened(width=1100, scheme="light", place=""):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            page = context.new_page()
            page.on("request", lambda r: heard.append(r.url) if "page.html" not in r.url else None)
            page.on("console", lambda m: m.type == "error" and heard.append(m.text))
            page.on("pageerror", lambda error: heard.append(str(error)))
            page.goto(file.as_uri() + place)
            page.wait_for_selector("html[data-drawn=all]", state="attached")
            return page

        yield opened
        browser.close()
    assert heard == []


def says(page):
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")
    return page.text_content(".says")


def wanted(i, j):
    end = explored().arrays["accuracy"][i, j, :, -1]
    return end.mean(), end.min(), end.max()


def test_a_slider_looks_up_its_position(open_page):
    page = open_page()
    for i, j in ((0, 0), (2, 1)):
        for name, k in (("learning_rate", i), ("momentum", j)):
            page.fill(f"input[name={name}]", str(k))
        text = says(page)
        told = [float(x) for x in re.findall(r"(?<![\w^])\d\.?\d*(?:e-?\d+)?", text)]
        assert told[:2] == [RATES[i], MUS[j]]
        np.testing.assert_allclose(told[2:5], wanted(i, j), rtol=2e-4)
        assert page.get_attribute("input[name=learning_rate]", "aria-valuetext") == str(
            RATES[i]
        ).rstrip("0").rstrip(".")
    page.fill("input[name=learning_rate]", "3")
    assert "diverged" in says(page)


def test_the_keyboard_moves_slider_and_map_and_the_address_keeps_the_place(open_page):
    page = open_page(place="#learning_rate=0&momentum=0")
    page.focus("input[name=learning_rate]")
    page.keyboard.press("ArrowRight")
    assert says(page).startswith("learning_rate = 0.1, momentum = 0:")
    page.focus(".plot.control")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert says(page).startswith("learning_rate = 1, momentum = 0.5:")
    assert page.url.endswith("#learning_rate=2&momentum=1")
    again = open_page(place="#learning_rate=2&momentum=1")
    assert says(again) == says(page)


def test_the_address_is_followed_and_a_bad_one_does_no_harm(open_page):
    page = open_page(place="#%")
    assert says(page).startswith("learning_rate = ")
    page.evaluate("location.hash = '#learning_rate=1&momentum=2'")
    assert says(page).startswith("learning_rate = 0.1, momentum = 0.9:")


def test_the_track_and_the_step_are_sliders_too(open_page):
    page = open_page(place="#learning_rate=0&momentum=0")
    box = page.query_selector(".track canvas").bounding_box()
    page.mouse.click(box["x"] + 0.66 * box["width"], box["y"] + 5)
    assert says(page).startswith("learning_rate = 1, momentum = 0:")
    page.fill("input[name=step]", "1")
    assert says(page).endswith("after 20 steps.")
    assert len(page.query_selector_all(".legend span")) == 3


def opened(open_page, found, directory, place=""):
    page = open_page()
    directory.mkdir(exist_ok=True)
    page.goto(found.html(directory / "page.html").as_uri() + place)
    page.wait_for_selector("html[data-drawn=all]", state="attached")
    return page


def test_a_curve_that_leaves_its_picture_has_an_arrow_and_the_legend_says_so(open_page, tmp_path):
    ends = np.array([3.0, *np.linspace(5, 10, 19)])
    x = ends[:, None] * np.linspace(0.5, 1, 5)
    sliders = {"a": list(range(20))}
    found = Explored(sliders, ("a", "step"), (1, 2, 3, 4, 5), {"accuracy": x})
    page = opened(open_page, found, tmp_path, "#a=0")
    assert "5% of the results are worse than" in page.text_content(".worse")
    assert "the worst is 3" in page.text_content(".worse")
    assert page.get_attribute(".here", "d") == "" and page.get_attribute(".leaves", "d")
    ys = [float(y) for y in re.findall(r" (-?[\d.]+)", page.get_attribute(".plot .line", "d"))]
    assert len(set(ys)) == 5  # not flat at the edge
    page = opened(open_page, found, tmp_path / "again", "#a=19")
    assert page.get_attribute(".here", "d") != ""
    inside = Explored({"a": [1.0, 2.0]}, ("a", "step"), (1, 2), np.array([[1.0, 2.0], [2.0, 1.0]]))
    page = opened(open_page, inside, tmp_path / "inside", "#a=0")
    assert page.get_attribute(".leaves", "d").count("M") <= 1


def test_a_page_without_a_finite_result_says_so(open_page, tmp_path):
    axes = ("a", "b", "step")
    found = Explored({"a": [1, 2], "b": [1, 2]}, axes, (1, 2), np.full((2, 2, 2), np.nan))
    page = opened(open_page, found, tmp_path)
    assert page.text_content(".legend") == "no finite result"
    assert page.query_selector(".plot .line") is None


def test_the_frame_of_a_notebook_fits_its_page(open_page, tmp_path):
    options = [
        explored(),
        Explored({"a": [1.0, 2.0]}, ("a",), (), np.array([3.0, 4.0])),
        Explored({k: [1.0, 2.0] for k in "abc"}, tuple("abc"), (), np.arange(8.0).reshape(2, 2, 2)),
    ]
    for i, found in enumerate(options):
        page = opened(open_page, found, tmp_path / str(i))
        page.set_viewport_size({"width": 900, "height": 200})
        real = page.evaluate("document.documentElement.scrollHeight") / 16
        assert real <= found.show().height <= real + 5


def test_long_names_stay_on_the_screen(open_page, tmp_path):
    long = "a_very_long_parameter_name_that_goes_on_and_on_for_ever_and_more"
    found = Explored({long: [1.0, 2.0], "b": [1.0, 2.0]}, (long, "b"), (), np.eye(2))
    page = open_page(390)
    page.goto(found.html(tmp_path / "page.html", title=long).as_uri())
    page.wait_for_selector("html[data-drawn=all]", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_click_on_the_map_picks_both(open_page):
    page = open_page()
    box = page.query_selector(".plot.control").bounding_box()
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.1 * box["height"])
    assert says(page).startswith("learning_rate = 0.1, momentum = 0.9:")


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (390, "light")])
def test_it_is_drawn_in_light_and_dark_and_on_a_phone(open_page, width, scheme):
    page = open_page(width, scheme)
    inked = """(c) => { const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      const pixels = Array.from({length: d.length / 4}, (_, i) => d.slice(4 * i, 4 * i + 3).join());
      return new Set(pixels).size }"""
    for canvas in page.query_selector_all("canvas"):
        assert canvas.evaluate(inked) > 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_attribute(".plot .line", "d").count("L") == 4
    assert page.get_attribute(".plot .band", "d").endswith("Z")


def test_what_explore_finds_is_what_the_page_holds(tmp_path):
    found = jo.learn.explore(lambda a, b: a * b, {"a": [1.0, 2.0], "b": [3.0, 4.0]}, cache=False)
    data = held(found.html(tmp_path / "page.html").read_text())
    assert data["best"] == 8.0 and data["start"] == [1, 1]
