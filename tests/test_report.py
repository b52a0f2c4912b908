"""The report: complete, self-contained, escaped, and true to the study."""

import dataclasses
import html.parser
import json
import re
import sys

import numpy as np
import pytest
from studies import halved, made_up

from jaxopt_edu import data
from jaxopt_edu.nn import losses
from jaxopt_edu.nn.models import Linear
from jaxopt_edu.optim.optimizers import adam, sgd
from jaxopt_edu.search import sweep
from jaxopt_edu.train import Training
from jaxopt_edu.values.space import log_uniform, one_of
from jaxopt_edu.view.report import report_html

VOID = {"meta", "img"}
STUDIES = {
    "one trial": lambda: made_up(1),
    "all dead": lambda: made_up(4, dead=range(4)),
    "nothing scored": lambda: made_up(3, scored=False),
    "nothing swept": lambda: made_up(3, numbers=0),
    "no number": lambda: made_up(20, numbers=0, choices=(3, 2), dead=(1, 2)),
    "accuracy": lambda: made_up(30, mode="max", dead=(0,)),
    "halved": lambda: halved(made_up(64, choices=(2,), dead=(1, 5)), repeats=3),
    "brackets": lambda: halved(made_up(40, numbers=1, mode="max"), brackets=3),
}


class Page(html.parser.HTMLParser):
    """The tags, rows, scripts and text of a page; an error where a tag is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.rows, self.words = [], [], [], []
        self.places, self.scripts = [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [v for k, v in attributes.items() if k in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag == "script":
            self.scripts[attributes.get("id", len(self.scripts))] = ""
        if attributes.get("class") == "chart":
            self.places.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "script":
            self.scripts[list(self.scripts)[-1]] += text
            return
        self.words.append(text)
        if {"td", "th"} & set(self.open):
            self.rows[-1].append(text)

    @property
    def charts(self):
        """The charts by name, of those with views the first."""
        charts = json.loads(self.scripts["charts"])
        return {chart["name"]: (chart["views"] or [chart])[0] for chart in charts}


@pytest.fixture(scope="module")
def study():
    optimizers = one_of(sgd(log_uniform(1e-3, 1e3)), adam(log_uniform(1e-4, 1e-1)))
    space = Training(Linear(1), losses.squared_error, optimizers, data.load("linear"))
    return sweep(space, trials=12, steps=20, tile=4)


@pytest.fixture(scope="module")
def page(study):
    return report_html(study)


def test_the_page_says_everything_about_a_study(study, page):
    parsed = Page(page)
    text = " ".join(parsed.words)
    assert 0 < study.diverged < len(study)
    for said in (
        "12 trials on linear", "load('linear', seed=0)", "log_uniform(0.001, 1000.0)", "seed 0",
        "squared_error", f"The best: trial {study.best_trial}", "test r2_score", "jax 0.",
        f"engine {study.info['compilations']['engine']}", study.info["devices"][0],
        f"{study.diverged:,} of 12", f"{study.info['seconds']:.1f} seconds",
    ):  # fmt: skip
        assert said in text, said
    trials = [row[0] for row in parsed.rows if len(row) == len(study.columns) and row[0] != "trial"]
    assert trials[0] == str(study.best_trial)
    assert sorted(map(int, trials)) == list(range(12))


def test_the_page_needs_nothing_from_elsewhere(page):
    parsed = Page(page)
    assert not parsed.links
    assert "default-src 'none'" in page and "connect-src" not in page
    plotly = max(parsed.scripts.values(), key=len)
    own = page.replace(plotly, "")
    assert len(own) < 0.1 * len(page)
    assert not re.search(r"https?://|@import|url\(|<link|<iframe", own)


def test_names_are_escaped():
    evil = "</script><script>alert('&\"')</script>"
    study = made_up(6, numbers=0, choices=(2,), dead=(1,))
    study.columns["part0"][:] = [evil, "kind"] * 3
    text = report_html(dataclasses.replace(study, info={evil: {evil: evil}}))
    assert evil not in text and "<script>alert" not in text
    parsed = Page(text)
    assert evil in "".join(parsed.words)
    [panel] = [v for k, v in parsed.charts["slices"]["layout"].items() if k == "xaxis"]
    assert html.unescape(panel["ticktext"][0]) == evil and "<" not in panel["ticktext"][0]


@pytest.mark.parametrize("shape", STUDIES)
def test_every_shape_of_study_has_a_page(shape):
    study = STUDIES[shape]()
    parsed = Page(report_html(study))
    words = " ".join(parsed.words)
    scored = "validation_loss" in study.columns and study.diverged < len(study)
    assert ("No trial reached a score" in words) == (not scored)
    assert list(parsed.charts) == parsed.places
    assert {"parallel", "history"} <= set(parsed.places)
    assert ("curves" in parsed.places) == bool(study.curves)
    assert ("rungs" in parsed.places) == ("timeline" in parsed.places) == bool(study.rungs)
    assert ("divergence" in parsed.places) == bool(study.diverged and study.swept)
    for trace in (trace for chart in parsed.charts.values() for trace in chart["data"]):
        if trace["type"] == "scatter":
            assert len(trace["x"]) == len(trace["y"]) == len(trace.get("customdata", trace["x"]))


def test_the_best_of_many_trials_are_listed():
    study = made_up(2100, numbers=1, dead=range(0, 2100, 9))
    parsed = Page(report_html(study))
    assert "The best 2,000 trials" in parsed.words
    order = json.loads(parsed.scripts["order"])
    assert order == study.order[:2000].tolist()
    assert len(parsed.charts["parallel"]["data"][0]["line"]["color"]) == 2000


def test_parallel_coordinates_hold_the_numbers_of_the_table():
    study = made_up(40, numbers=2, choices=(2,), dead=(3,))
    study.columns["optimizer.number1"][5] = np.nan
    parsed = Page(report_html(study))
    order = json.loads(parsed.scripts["order"])
    axes = {axis["label"]: axis for axis in parsed.charts["parallel"]["data"][0]["dimensions"]}
    lacking = {"optimizer.number0": [], "optimizer.number1": [5], "validation loss": [3]}
    for name, without in lacking.items():
        axis, column = axes[name], name.replace(" ", "_")
        expected = np.log10(study.columns[column][order])
        having = ~np.isin(order, without)
        shown = np.array(axis["values"])
        if name != "validation loss":  # which is drawn at the end of its axis if it is far off
            np.testing.assert_allclose(shown[having], expected[having], atol=2e-4)
        words = dict(zip(axis["tickvals"], axis["ticktext"], strict=True))
        assert {words[x] for x in shown[~having].tolist()} <= {"none", "no score"}
        assert axis["range"][0] <= shown.min() and shown.max() <= axis["range"][1]
        assert len(set(axis["ticktext"])) == len(axis["ticktext"])


def test_without_plotly_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxopt_edu\[cli\]'"):
        report_html(made_up(2))
