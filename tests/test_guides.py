"""The guides and the pages on contributing: their blocks run in order, their links lead somewhere.

A page's blocks share their names, as pasted one after the other, in a directory of their own.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy

from jaxopt_edu.cli import parser

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = sorted(path for path in (DOCS / "guides").glob("*.md") if path.stem != "index")
CONTRIBUTING = sorted((DOCS / "contributing").glob("*.md"))
ALONE = [DOCS / f"{name}.md" for name in ("notions", "benchmarks", "glossary", "tour")]
RUN = [page for page in (*GUIDES, *CONTRIBUTING) if "```python\n" in page.read_text()]
PAGES = [*GUIDES, *CONTRIBUTING, *ALONE, DOCS / "guides" / "index.md"]
SLOW = ("experiments", "estimators")  # they compile for long
OTHER_PACKAGES = ("streams",)  # blocks marked py, which were run by hand: they take PyTorch, Grain
CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page, language="python"):
    return [text for marked, text in CODE.findall(page.read_text()) if marked == language]


def name(page):
    return page.relative_to(DOCS).with_suffix("").as_posix()


def each(pages):
    def marks(page):
        return [pytest.mark.slow] * (page.stem in SLOW)

    return [pytest.param(page, id=name(page), marks=marks(page)) for page in pages]


# ----------------------------------------------------------------------------- what the blocks say


def lqr():
    """The gains that are best for the linear pendulum on an endless run."""
    a, b = np.array([[1 + 0.05**2, 0.05], [0.05, 1]]), np.array([[0.05**2], [0.05]])
    p = scipy.linalg.solve_discrete_are(a, b, np.diag([1.0, 0.0]), np.array([[0.1]]))
    return np.linalg.solve(0.1 + b.T @ p @ b, b.T @ p @ a)[0]


def of_experiments(space):
    for framework in ("linen", "nnx", "equinox", "haiku"):
        assert space["models"][framework].stateful, framework
    accuracies = space["accuracies"]
    assert len(accuracies) == 4 and min(accuracies.values()) > 0.8
    assert space["quartic_study"].scores()["validation_loss"] < 1e-3
    assert space["own_study"].scores()["test_accuracy"] > 0.9
    assert space["optax_study"].scores()["test_loss"] < 0.11  # the noise of the data: 0.1
    balance, best = space["balance"], space["control_study"].scores()["validation_loss"]
    wanted = float(balance.cost(lqr(), np.array([0.5, 0.0])))
    assert best < 1.03 * wanted
    assert space["slope"].optimizer.learning_rate < 0
    assert space["tuning"].best_score < 0.06 < 0.08 < space["tuning"].scores[0].min()


def of_training(space):
    assert space["run"].evaluate("test")["accuracy"] > 0.9
    assert (
        space["model"].predict(space["rows"]).tolist() == space["run"].predict("test")[:3].tolist()
    )
    assert "optimizer.1.learning_rate" in space["jo"].hyperparameters(space["experiment"])
    assert space["opts"].learning_rate.shape == (64,) and space["losses"].min() < 1e-3


def of_sweeps(space):
    scores = space["study"].scores()
    assert scores["test_accuracy"] > 0.9
    exact = space["exact"].evaluate("validation")
    assert exact == {k: scores[f"validation_{k}"] for k in exact}  # bit for bit
    again = space["again"].evaluate("validation")
    assert abs(again["accuracy"] - scores["validation_accuracy"]) < 0.02
    assert len(space["large"]) == 64


def of_tables(space):
    model, table = space["model"], space["table"]
    assert (model.predict(table) == space["bought"]).mean() > 0.85
    assert set(space["customers"].targets) == {"yes", "no"}


def of_privacy(space):
    assert 2.9 < space["private"].epsilon(150, delta=1e-4) <= 3


def of_federated(space):
    np.testing.assert_allclose(space["summed"], space["parts"].sum(axis=0), atol=1e-6)


def of_explanations(space):
    assert abs(space["why"].gap).max() < 0.5
    assert space["found"].mean.max() > 0


def of_validation_and_devices(space):
    assert space["shared"].evaluate("test")["accuracy"] > 0.85
    assert Path("runs/shared").is_dir()


def of_diagnosis(space):
    assert space["what"].verdicts == ("good fit",)
    assert space["noisy"].augment is not None


def of_estimators(space):
    assert np.isfinite(space["gradient"].estimator.rho)


def of_streams(space):
    assert space["streamed"].evaluate()["accuracy"] > 0.9


def of_checking(space):
    found = space["jo"].learn.check("adam", space["my_adam"])
    assert not found.ok
    [told] = blocks(DOCS / "guides" / "checking.md", "text")
    assert str(found).strip() == told.strip()


def of_security(space):
    assert space["model"].predict([[5.1, 3.5, 1.4, 0.2]]).tolist() == [0]


def of_command_line(space):
    assert Path("iris/model.jo").is_file()


def of_optimizer(space):
    ours = space["MySignum"](0.1)
    theirs = space["jo"].signum(0.1)
    p = space["jnp"].array([0.3, -0.8])
    state, other = ours.init(p), theirs.init(p)
    for g in (p, -2 * p, p):
        u, state = ours.update(g, state, p)
        v, other = theirs.update(g, other, p)
        assert (u == v).all()
    assert space["study"].scores()["test_accuracy"] > 0.8


def of_loss(space):
    e = np.array([-3.0, -0.5, 0.0, 2.0])
    found = space["cauchy_loss"](e, np.zeros(4), scale=0.7)
    np.testing.assert_allclose(found, 0.7**2 / 2 * np.log1p((e / 0.7) ** 2), rtol=1e-6)
    with pytest.raises(ValueError, match="shape"):
        space["cauchy_loss"](np.zeros((4, 1)), np.zeros(4))
    assert space["study"].scores()["validation_r2_score"] > 0.8


def of_data_set(space):
    accuracy = space["jo"].fit(space["experiment"], steps=500).evaluate("test")["accuracy"]
    assert accuracy > 0.9


@pytest.mark.parametrize("page", each(RUN))
def test_blocks_run_and_do_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    for block in blocks(page):
        exec(compile(block, f"{name(page)}.md", "exec"), space)
    globals()[f"of_{page.stem}"](space)


# ------------------------------------------------------------------------------------ the pages


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_a_guide_begins_with_what_one_can_do_and_a_block_that_runs(page):
    head = page.read_text().split("\n## ")[0]
    assert head.split("\n\n")[1].startswith("You can "), head
    assert "\n```python\n" in head


def test_blocks_that_do_not_run_are_few():
    for page in PAGES:
        others = {marked for marked, _ in CODE.findall(page.read_text())} - {"python", "text"}
        assert others <= ({"py"} if page.stem in OTHER_PACKAGES else set()), page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_headings_begin_with_one_and_skip_no_level(page):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", CODE.sub("", page.read_text()), re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), levels


def anchors(page):
    """The names of the headings of a page, in links."""
    heads = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = CODE.sub("", page.read_text())
    found = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", text, re.MULTILINE)
    for target in (inline or defined for inline, defined in found):
        if not target.startswith("https://"):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            assert there.exists(), f"{name(page)}: {target}"
            assert not anchor or anchor in anchors(there), f"{name(page)}: {target}"


@pytest.mark.parametrize("folder", ["guides", "contributing"])
def test_the_index_names_each_page(folder):
    text = (DOCS / folder / "index.md").read_text()
    pages = {path.stem for path in (DOCS / folder).glob("*.md")} - {"index"}
    [tree] = re.findall(r"```\{toctree\}\n:hidden:\n\n(.*?)```", text, re.DOTALL)
    assert set(tree.split()) == pages
    assert set(re.findall(r"\]\((\w+)\.md\)", text)) >= pages


def test_the_commands_of_the_guide_are_commands():
    text = (DOCS / "guides" / "command_line.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("    jaxopt-edu ")]
    assert len(lines) >= 10
    for line in lines:
        parser().parse_args(shlex.split(line)[1:])
