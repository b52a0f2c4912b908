"""`jo.learn.Axis`: a slider in a notebook that Python and the page move, drawn as in the pages."""

import inspect
import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import traitlets

import jaxopt_edu as jo
from jaxopt_edu.learn import axis as axes
from jaxopt_edu.learn import pages

CHROMIUM = shutil.which("chromium")
RATES = np.geomspace(1e-3, 1e2, 6)
LOSSES = np.array([2.0, 1.0, 0.5, 0.1, np.inf, np.nan])


def axis(**changes):
    return jo.learn.Axis("learning_rate", RATES, **{"outcome": LOSSES} | changes)


# --------------------------------------------------------------------------------- in Python


def test_it_stands_at_the_best_and_index_and_value_follow_each_other():
    made, seen = axis(), []
    assert (made.index, made.value) == (3, RATES[3])
    made.observe(lambda change: seen.append((change.name, change.new)), ["index", "value"])
    made.index = 1
    assert made.value == RATES[1]
    made.value = np.float32(RATES[2])  # as an array of JAX holds it
    assert made.index == 2 and made.value == RATES[2]
    assert sorted(seen) == sorted(
        [("index", 1), ("value", RATES[1]), ("index", 2), ("value", RATES[2])]
    )
    assert axis(better="max").index == 0 and axis(index=5).index == 5
    assert repr(made) == "Axis(learning_rate, 6 values, index=2)"


def test_over_a_vmapped_result_and_over_what_is_no_number():
    rates = jnp.linspace(0.1, 1.0, 5)
    made = jo.learn.Axis("rate", rates, jax.vmap(lambda x: (x - 0.5) ** 2)(rates))
    assert made.index == int(jnp.argmin((rates - 0.5) ** 2))
    sizes = [(64, 8, 10), (64, 32, 10)]
    made = jo.learn.Axis("sizes", sizes, [0.5, 0.9], better="max")
    assert made.value == sizes[1] and made.labels == [str(x) for x in sizes]
    made.value = sizes[0]
    assert made.index == 0


@pytest.mark.parametrize("better", ["min", "max"])
def test_heights_are_from_0_to_1_in_the_order_of_the_outcomes(better):
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=40), 10 ** rng.uniform(-9, 9, 40), np.r_[1e30, rng.uniform(size=9)]):
        lost = rng.uniform(size=len(x)) < 0.2
        tall = axes.heights(np.where(lost, np.inf, x), better)
        assert (np.isnan(tall) == lost).all()
        order = np.argsort(x[~lost] if better == "max" else -x[~lost])
        assert (np.diff(tall[~lost][order]) >= 0).all()
        assert np.min(tall[~lost]) == 0 and np.max(tall[~lost]) == 1
    assert axes.heights(np.array([2.0, 2.0, np.nan]), better)[:2].tolist() == [1.0, 1.0]


def test_what_it_sends_is_json_without_nan():
    made = axis()
    state = {k: made.get_state()[k] for k in ("labels", "heights", "outcomes", "index", "name")}
    told = json.loads(json.dumps(state, allow_nan=False))
    assert told["outcomes"][4:] == [None, None] == told["heights"][4:]
    assert told["labels"] == RATES.tolist()


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: axis(outcome=LOSSES[:3]), ValueError, r"shape \(3,\): wanted \(6,\), one number"),
        (lambda: axis(outcome=np.ones((6, 2))), ValueError, "over seeds, give their mean"),
        (lambda: axis(outcome=[np.nan] * 6), ValueError, "none of 6 is finite"),
        (lambda: axis(outcome="loss"), TypeError, "outcome = 'loss': wanted numbers"),
        (lambda: axis(outcome=["a"] * 6), TypeError, "outcome = .*: wanted numbers"),
        (lambda: axis(better="low"), ValueError, "better = 'low': wanted 'min' or 'max'"),
        (lambda: axis(index=6), ValueError, "index = 6: wanted 0 to 5"),
        (lambda: axis(index=-1), ValueError, "index = -1: wanted 0 to 5"),
        (lambda: axis(index=1.0), TypeError, "index = 1.0: wanted an integer"),
        (lambda: axis(outcome_name=3), TypeError, "outcome_name = 3: wanted a string"),
        (lambda: jo.learn.Axis(3, RATES, LOSSES), TypeError, "name = 3: wanted a string"),
        (lambda: jo.learn.Axis("a", 3, [1.0]), TypeError, "values = 3: wanted a list"),
        (lambda: jo.learn.Axis("a", "bc", [1.0, 2.0]), TypeError, "values = 'bc': wanted a list"),
        (lambda: jo.learn.Axis("a", [1.0], [1.0]), ValueError, "there are 1: wanted at least 2"),
        (lambda: jo.learn.Axis("a", np.eye(2), [1, 2]), ValueError, r"values has shape \(2, 2\)"),
        (lambda: jo.learn.Axis("a", [1.0, np.nan], [1, 2]), ValueError, "values: nan is among"),
        (lambda: setattr(axis(), "index", 6), traitlets.TraitError, "index = 6: wanted 0 to 5"),
        (lambda: setattr(axis(), "value", 7.0), traitlets.TraitError, "value = 7.0: wanted one of"),
    ],
)
def test_what_is_wrong_is_named(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_refused_position_leaves_it_where_it_stood():
    made = axis()
    for name, bad in (("index", 9), ("value", 7.0)):
        with pytest.raises(traitlets.TraitError):
            setattr(made, name, bad)
        assert (made.index, made.value) == (3, RATES[3])


def test_anywidget_is_imported_only_when_it_is_asked_for_and_its_lack_is_told():
    code = (
        "import sys, jaxopt_edu as jo; jo.learn.check; from jaxopt_edu.learn import *\n"
        "print({'anywidget', 'ipywidgets', 'traitlets'} & set(sys.modules))\n"
        "assert 'Axis' in dir(jo.learn)\n"
        "sys.modules['anywidget'] = None\n"
        "try: jo.learn.Axis\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "set()", "jo.learn.Axis needs anywidget: pip install 'jaxopt_edu[notebook]'",
    ]  # fmt: skip


def test_its_colours_are_those_of_the_pages():
    css, script = pages.part("page.css"), axes.script()
    named = [line.split(":")[0].strip() for line in css.split(";") if "--" in line.split(":")[0]]
    assert {"--good", "--bad", "--missing", "--mark"} <= {n.split("{")[-1].strip() for n in named}
    style = json.loads(script.split("const STYLE = ")[1].split(";\n/* A slider")[0])
    light, dark = (style.split(head)[1].split("}")[0] for head in (":host {", ":host(.dark) {"))
    for name in ("--good", "--bad", "--missing", "--mark", "--soft"):
        values = [css.split(f"{name}: ")[k + 1].split(";")[0] for k in (0, 1)]
        assert f"{name}: {values[0]};" in light and f"{name}: {values[1]};" in dark
        assert values[0] != values[1]
    assert ".slider" in style and "body" not in style


def test_its_signature():
    assert str(inspect.signature(jo.learn.Axis)).startswith("(name: str, values: ")
    assert list(inspect.signature(jo.learn.Axis).parameters) == [
        "name", "values", "outcome", "better", "outcome_name", "index",
    ]  # fmt: skip


# ------------------------------------------------------------------------------- in a browser

# what anywidget does: a module of its own for each widget, and a model with these methods
SHOW = """async ([script, states]) => {
  window.models = [];
  for (const state of states) {
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const module = await import(url), heard = {};
    const model = {
      saved: 0,
      get: (k) => state[k],
      set(k, v) { state[k] = v; (heard[`change:${k}`] || []).forEach((f) => f()); },
      save_changes() { model.saved += 1; },
      on: (event, f) => (heard[event] ||= []).push(f),
      off: (event, f) => (heard[event] = heard[event].filter((g) => g !== f)),
      heard,
    };
    const el = document.body.appendChild(document.createElement("div"));
    model.cleanup = await module.default.render({ model, el });
    window.models.push(model);
  }
}"""
COLOURS = """(canvas) => {
  const g = canvas.getContext("2d"), { width: w, height: h } = canvas;
  const at = (i) => [...g.getImageData(Math.round(w * (i + 0.5) / 6), h - 1, 1, 1).data];
  const inked = (i, y) => g.getImageData(Math.round(w * (i + 0.5) / 6), y, 1, 1).data[3];
  const tall = (i) => Array.from({ length: h }, (_, y) => y).filter((y) => inked(i, y)).length / h;
  return [0, 1, 2, 3, 4, 5].map((i) => [at(i), tall(i)]);
}"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shown(browser):
    """A page with these widgets on it; afterwards, nothing was complained about."""
    open_pages, heard = [], []

    def show(*widgets, style="", width=700):
        page = browser.new_page(viewport={"width": width, "height": 400})
        open_pages.append(page)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("console", lambda m: m.type == "error" and heard.append(m.text))
        page.set_content(f"<!doctype html><style>{style}</style><body>")
        keys = ("name", "labels", "heights", "outcomes", "outcome_name", "index")
        states = [{k: getattr(w, k) for k in keys} for w in widgets]
        page.evaluate(SHOW, [axes.script(), states])
        settle(page)
        return page

    yield show
    for page in open_pages:
        page.close()
    assert not heard


def settle(page):
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")


def index(page, k=0):
    return page.evaluate(f"models[{k}].get('index')")


def says(page, k=0):
    return page.locator("output").nth(k).inner_text()


def test_a_key_moves_it_and_python_is_told(shown):
    page = shown(axis(outcome_name="loss"))
    assert says(page) == "1: loss 0.1"
    page.locator("input").focus()
    page.keyboard.press("ArrowLeft")
    assert index(page) == 2 and page.evaluate("models[0].saved") == 1
    assert says(page) == "0.1: loss 0.5"
    assert page.locator("input").get_attribute("aria-valuetext") == "0.1: loss 0.5"
    page.keyboard.press("End")
    assert index(page) == 5 and says(page) == "100: diverged"


def test_python_moves_it_until_it_is_removed(shown):
    page = shown(axis())
    page.evaluate("models[0].set('index', 1)")
    assert page.locator("input").input_value() == "1" and says(page).startswith("0.01:")
    assert page.evaluate("models[0].saved") == 0  # what Python said is not said back
    page.evaluate("models[0].cleanup()")
    page.evaluate("models[0].set('index', 4)")
    assert page.locator("input").input_value() == "1"
    assert page.evaluate("models[0].heard['change:index'].length") == 0


def test_the_track_is_the_outcome_and_a_press_on_it_goes_there(shown):
    page = shown(axis())
    found = page.locator("canvas").evaluate(COLOURS)
    tall = [height for _, height in found]
    assert tall[:4] == sorted(tall[:4]) and tall[3] > 0.95 > 0.1 > max(tall[4:])
    grey = found[4][0][:3]
    assert found[5][0][:3] == grey and np.ptp(grey) < 20  # --missing is a grey
    assert np.ptp(found[3][0][:3]) > 80  # --good is a blue
    box = page.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 5, box["y"] + 5)
    assert index(page) == 1


def test_several_on_one_page_do_not_meet(shown):
    page = shown(axis(), axis(better="max"), style="label { display: none } .track { height: 0 }")
    page.locator("input").nth(1).focus()
    page.keyboard.press("ArrowRight")
    assert (index(page, 0), index(page, 1)) == (3, 1)
    for k in (0, 1):  # each label is of its own input, and styles of the page stay outside
        name = page.get_by_role("slider", name="learning_rate").nth(k)
        assert name.input_value() == str(index(page, k))
        assert page.locator("label").nth(k).is_visible()
    assert page.locator("canvas").nth(0).bounding_box()["height"] > 20
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "none"


def test_it_is_dark_where_the_notebook_is_and_follows_a_change(shown):
    style = "body { background: #fff; color: #111 } body.night { background: #111; color: #eee }"
    page = shown(axis(), style=style)
    light = page.locator("canvas").evaluate(COLOURS)
    page.evaluate("document.body.classList.add('night')")
    settle(page)
    dark = page.locator("canvas").evaluate(COLOURS)
    assert [h for _, h in light] == [h for _, h in dark]
    assert all(a[0] != b[0] for a, b in zip(light, dark, strict=True))
    page.evaluate("document.body.classList.remove('night')")
    settle(page)
    assert page.locator("canvas").evaluate(COLOURS) == light


def test_it_fits_a_phone_and_is_drawn_again_when_its_width_changes(shown):
    page = shown(axis(outcome_name="a long name of a score " * 3), width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 260, "height": 400})
    settle(page)
    canvas = page.locator("canvas")
    assert canvas.evaluate("c => c.width") == round(canvas.bounding_box()["width"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 260
