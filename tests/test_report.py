"""The report: complete, self-contained, escaped; and a browser draws and sorts it."""

import base64
import dataclasses
import html.parser
import re
import shutil
import subprocess

import pytest
from studies import made_up

from jaxopt_edu import data, losses
from jaxopt_edu.experiment import Training
from jaxopt_edu.models import Linear
from jaxopt_edu.optimizers import adam, sgd
from jaxopt_edu.report import report_html
from jaxopt_edu.space import log_uniform, one_of
from jaxopt_edu.sweep import sweep

VOID = {"meta", "img"}


class Page(html.parser.HTMLParser):
    """The tags, rows and text of a page; an error where a tag is not closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.rows, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.links += [v for k, v in attributes if k in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)
        if {"td", "th"} & set(self.open):
            self.rows[-1].append(text)


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
    links = Page(page).links
    assert len(links) == 2
    for link in links:
        head, picture = link.split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(picture, validate=True).startswith(b"\x89PNG")
    assert not re.search(r"https?://|@import|url\(|<link|<iframe", page)


def test_names_are_escaped():
    evil = "<script>alert('&\"')</script>"
    study = made_up(6, numbers=0, choices=(2,), dead=(1,))
    study.columns["part0"][:] = evil
    text = report_html(dataclasses.replace(study, metric="loss", info={evil: {evil: evil}}))
    assert evil not in text and "<script>alert" not in text
    assert evil in "".join(Page(text).words)


@pytest.mark.parametrize(
    "shape",
    [dict(n=1), dict(n=4, dead=range(4)), dict(n=3, scored=False), dict(n=3, numbers=0)],
    ids=str,
)
def test_odd_studies_have_a_page(shape):
    study = made_up(**shape)
    words = " ".join(Page(report_html(study)).words)
    scored = shape.get("scored", True) and not shape.get("dead")
    assert ("No trial reached a score" in words) == (not scored)


# ----------------------------------------------------------------------------------- a browser

CLICK = """<script>
const table = [...document.querySelectorAll("table.sortable")].at(-1);
const column = [...table.tHead.rows[0].cells].findIndex(c => c.innerText == "%s");
const shown = () => [...table.tBodies[0].rows].map(r => r.cells[0].dataset.v).join(" ");
const click = () => { table.tHead.rows[0].cells[column].firstElementChild.click(); return shown() };
document.title = [click(), click()].join(";");
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on the PATH")
def test_a_click_sorts_with_empty_cells_last(study, page, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", CLICK % "validation_loss" + "</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options = [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [*command, *options, f"file://{file}"], capture_output=True, text=True, check=True
    )
    up, down = re.search(r"<title>(.*?)</title>", done.stdout).group(1).split(";")
    up, down = ([int(trial) for trial in order.split()] for order in (up, down))
    alive = len(study) - study.diverged
    assert up[:alive] == study.order[:alive].tolist()
    assert down[:alive] == up[:alive][::-1]
    assert set(up[alive:]) == set(down[alive:]) == set(study.order[alive:].tolist())
