"""Values show themselves in a notebook, and names are words in every page and picture."""

import dataclasses
import html.parser
import json
import pickle
import re
import sys
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import halved, made_up
from test_report import Page

import jaxopt_edu as jo
from jaxopt_edu.engine.progress import Progress, in_notebook
from jaxopt_edu.search.export import as_csv
from jaxopt_edu.values import notebook
from jaxopt_edu.view.report import report_html

IRIS = jo.data.load("iris")
TRAINING = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(1e-2),
    data=IRIS,
)
EVILS = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "'\" onmouseover='alert(1)",
    "$x^2$",
    "$\\frac{1",
    "_hidden_",
    "\u00e4\u03b1\u00df & <b>bold</b>",
    "long" * 60,
]


def predict(x):
    return jnp.sum(x**2, axis=1)


CELLS = {
    "figure": lambda: jo.plot.plot_race(jo.race("booth", ["sgd"], steps=20, scans=8)),
    "race": lambda: jo.race("booth", ["sgd", "adam"], steps=20, scans=8),
    "run": lambda: jo.fit(TRAINING, 20),
    "study": lambda: jo.sweep(jo.replace(TRAINING, learning_rate=jo.log_uniform(1e-3, 1.0)), 12,
                              steps=20),
    "diagnosis": lambda: jo.diagnose(jo.fit(TRAINING, 40)),
    "rates": lambda: jo.find_learning_rate(TRAINING, 20, rates=8),
    "sizes": lambda: jo.find_batch_size(TRAINING, 1, sizes=(8, 16)),
    "tuning": lambda: jo.tune(
        jo.replace(TRAINING, learning_rate=jo.log_uniform(1e-3, 1.0)), 3, updates=2, starts=2
    ),
    "folds": lambda: jo.cross_validate(TRAINING, 3, steps=5),
    "data": lambda: IRIS,
    "explanation": lambda: jo.explain.integrated_gradients(predict, IRIS.test.x[:2], 0.0),
}  # fmt: skip


class Cell(html.parser.HTMLParser):
    """The tags and words of a piece of HTML; an error where a tag is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], set(), ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert not any(name.startswith("on") for name, _ in attributes)
        self.tags.add(tag)
        if tag != "polyline":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == "polyline" or self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


@pytest.mark.parametrize("name", ["figure", "race", "run", "study", "diagnosis", "data",
                                  "explanation"])  # fmt: skip
def test_values_show_themselves(name):
    value = CELLS[name]()
    if name == "figure":
        assert value._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
        assert value._repr_html_() is None  # one picture, not two
        return
    cell = Cell(value._repr_html_())
    assert cell.tags <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "svg",
                         "polyline"}  # fmt: skip
    assert "table" in cell.tags and len(cell.words) < 10_000


EXPLAINED = {
    "PartialDependence": lambda p, x: jo.explain.partial_dependence(p, x, 0, points=3),
    "PermutationImportance": lambda p, x: jo.explain.permutation_importance(
        p, x, p(x), jo.metrics.mean_squared_error, key=jax.random.key(0)
    ),
    "PermutationShapley": lambda p, x: jo.explain.permutation_shapley(
        p, x, x, key=jax.random.key(0), permutations=4
    ),
    "Lime": lambda p, x: jo.explain.lime(p, x, key=jax.random.key(0), samples=20),
    "IntegratedGradients": lambda p, x: jo.explain.integrated_gradients(p, x, 0.0),
}


@pytest.mark.parametrize("kind", EXPLAINED)
def test_explanations_show_their_arrays(kind):
    """A few numbers as they are; of many, how they spread."""
    x = jnp.array([[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]])
    found = EXPLAINED[kind](lambda x: x[:, 0] - 2 * x[:, 1], x)
    words = Cell(found._repr_html_()).words
    assert words.startswith(kind)
    for name in found._fields:
        array = getattr(found, name)
        assert f"{name}float32{list(array.shape)}" in words
        assert notebook.shown(float(array.ravel()[0] if array.size < 4 else array.max())) in words


def test_of_many_numbers_the_ends_and_the_mean_are_shown():
    few = jo.explain.PartialDependence(np.arange(3.0), np.array([np.nan, 1.0]), np.zeros((0, 2)))
    words = Cell(few._repr_html_()).words
    assert "gridfloat64[3]0, 1, 2" in words and "averagefloat64[2]-, 1" in words
    many = np.array([np.nan, *range(101)])
    words = Cell(few._replace(grid=many)._repr_html_()).words
    assert "gridfloat64[102]0 to 100, mean 50" in words


def test_a_study_shows_its_best_trials_in_order():
    study = made_up(30, dead=(3,))
    text = study._repr_html_()
    assert "30 trials, 1 diverged" in text and "and 20 more" in text
    trials = [int(n) for n in re.findall(r"<tr><td>(\d+)</td>", text)]
    assert trials == study.order[:10].tolist()
    assert made_up(4, dead=range(4))._repr_html_().count("<td>-</td>") >= 4


def test_a_picture_is_a_figure_as_any_other(tmp_path):
    from matplotlib.figure import Figure

    figure = jo.plot.plot_history(made_up(5))
    assert isinstance(figure, Figure)
    again = pickle.loads(pickle.dumps(figure))
    for one in (figure, again):
        one.savefig(tmp_path / "a.svg")
        assert one._repr_png_()[:4] == b"\x89PNG"
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )  # pyplot would show it once more


PLOTS = ("curves", "landscape", "slices", "parallel", "importance", "timeline", "divergence")
SOME = ["".join(EVILS[:-1]), EVILS[-1]]  # the rest is in the second tier, one by one


@pytest.mark.parametrize(
    "evil", [*SOME, *(pytest.param(evil, marks=pytest.mark.slow) for evil in EVILS[:-1])]
)
def test_names_are_words_in_cells_pages_and_pictures(evil):
    study = renamed(halved(made_up(12, choices=(2,), dead=(1, 5))), evil)
    cell = Cell(study._repr_html_())
    assert not cell.tags & {"script", "img"}
    assert evil[:50] in cell.words
    page = Page(report_html(study))
    text = report_html(study)
    assert "<script>alert" not in text and "<img src=x" not in text
    assert "onmouseover='alert" not in text
    for name in ("charts", "order"):
        strings = [s for s in strings_of(json.loads(page.scripts[name]))]
        assert not any("<script" in s or "<img" in s or "<b>" in s for s in strings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in PLOTS:
            getattr(jo.plot, f"plot_{name}")(study).savefig("/dev/null", format="svg")
    assert as_csv(study).count("\n") == 13


def renamed(study, evil):
    """The study with this in the names of its columns and in the labels of its choices."""
    names = {"optimizer.number0": evil, "part0": f"optimizer.{evil}"}

    def labels(x):
        return np.array([f"{evil}{kind}" for kind in x], object)

    columns = {names.get(n, n): labels(x) if n == "part0" else x for n, x in study.columns.items()}
    batches = [
        dataclasses.replace(
            batch,
            columns={names.get(n, n): x for n, x in batch.columns.items()},
            labels={names.get(n, n): f"{evil}{x}" for n, x in batch.labels.items()},
        )
        for batch in study.batches
    ]
    return dataclasses.replace(study, columns=columns, batches=batches)


def strings_of(x):
    """All strings in JSON, but for the keys."""
    if isinstance(x, str):
        yield x
    for part in x.values() if isinstance(x, dict) else x if isinstance(x, list) else ():
        yield from strings_of(part)


def test_pieces_of_html_escape_and_are_short():
    for evil in EVILS:
        cell = Cell(notebook.card(evil, notebook.table([evil], [[evil]]), notebook.text(evil)))
        assert cell.tags == {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}
        assert cell.words.count(evil[:50]) >= 4 and len(cell.words) <= 2 * (len(evil) + 60)
    assert notebook.sparkline([1.0]) == "" and notebook.sparkline([np.nan, np.nan]) == ""
    assert Cell(notebook.sparkline([1.0, np.inf, 2.0, 2.0])).tags == {"svg", "polyline"}


def test_progress_is_a_line_of_text_in_a_notebook(monkeypatch, capsys):
    shell = types.SimpleNamespace(kernel=object())
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()
    bar = Progress(10, None)
    bar.say("compiling")
    bar.advance(10, dict)
    bar.close()
    assert "compiling" in capsys.readouterr().err
    assert Progress(10, False)._bar is None
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: object()))
    assert not in_notebook()  # the terminal of IPython says itself whether it is one


NOTEBOOK = """
import jax.numpy as jnp, jaxopt_edu as jo
from test_notebook import CELLS
"""


@pytest.mark.slow
@pytest.mark.parametrize("magic", ["", "import matplotlib.pyplot\n", "%matplotlib inline\n"])
def test_a_notebook_shows_each_value_once(magic, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    from children import ROOT, TOLD

    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    names = list(CELLS) if not magic else ["figure"]
    cells = [magic + NOTEBOOK, *(f"CELLS[{name!r}]()" for name in names)]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    for name, cell in zip(names, book.cells[1:], strict=True):
        shown = [out for out in cell.outputs if out.output_type != "stream"]
        assert [out.output_type for out in shown] == ["execute_result"], (name, shown)
        kind = "image/png" if name == "figure" else "text/html"
        assert kind in shown[0].data, name
    if not magic:
        study = book.cells[1 + names.index("study")]
        assert any("compiling" in out.text for out in study.outputs if out.output_type == "stream")
