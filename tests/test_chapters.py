"""Chapters of docs/learn: their code prints what they say, their numbers are of the arrays."""

import ast
import contextlib
import importlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxopt_edu.learn.pages import part, stripped

DOCS = Path(__file__).parent.parent / "docs"
FIGURES = DOCS / "figures"
ORDER = re.findall(r"^(\w+)$", (DOCS / "learn" / "index.md").read_text(), re.M)
TEXTS = {name: (DOCS / "learn" / f"{name}.md").read_text() for name in ORDER}
NUMBER = re.compile(r"(?<![\w.])[-\u2212]?\d[\d,]*(?:\.\d+)?(?![\w])")
PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.S | re.M)
CLAIM = re.compile(
    r"(?P<bound>about |at most |at least )?\{claim\}`(?P<said>[^`<]+?)\s*<(?P<name>\w+)>`"
)
TRY = re.compile(r"\{try\}`(?P<said>[^`<]+?)\s*<(?P<figure>[\w-]+)(?P<pairs>[^>]*)>`")
EXPLORABLE = re.compile(r"^```\{explorable\} ([\w-]+)\n(.*?)^```", re.S | re.M)
HEAVY = ("weights", "optimizers", "search", "secrets")  # arrays of half a minute and more
TIERS = [pytest.param(x, marks=pytest.mark.slow) if x in HEAVY else x for x in ORDER]
MOST_SCRIPT, MOST_RUNTIME = 4_000, 20_000  # bytes, as they are served


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))


def module(name):
    return importlib.import_module(f"figures.{name}")


def number(text):
    """The one number in a text, and half a unit of its last digit."""
    [found] = NUMBER.findall(text)
    digits = found.replace(",", "").replace("\u2212", "-")
    _, _, after = digits.partition(".")
    return float(digits), 0.5 * 10.0 ** -len(after)


def holds(bound, said, found):
    """Whether what is said is what was found: to its digits, or as the words before it say."""
    value, half = number(said)
    match bound:
        case "about":
            return abs(value - found) <= 0.05 * abs(value)
        case "at most":
            return found <= value
        case "at least":
            return found >= value
    return abs(value - found) <= half * 1.0001


def close(printed, wanted):
    """Whether two outputs are the same, their numbers to 2%."""
    apart = [re.split(NUMBER, x.strip()) for x in (printed, wanted)]
    same = [[" ".join(piece.split()) for piece in pieces] for pieces in apart]
    values = [
        [float(n.replace(",", "").replace("\u2212", "-")) for n in NUMBER.findall(x)]
        for x in (printed, wanted)
    ]
    return same[0] == same[1] and np.allclose(*values, rtol=0.02, atol=1e-12)


def test_outputs_are_compared_by_words_and_by_numbers():
    assert close("a 1.00 b 2,000", "a  1.01 b 2,001")
    assert not close("a 1.0", "a 1.1") and not close("a 1.0", "b 1.0")
    assert holds("", "36", 36.4) and not holds("", "36", 36.6) and holds("about", "280", 270)
    assert not holds("about", "280", 260)
    assert holds("at most", "2%", 1.7) and not holds("at least", "2%", 1.7)
    assert number("36 steps") == (36.0, 0.5) and number("95.3%") == (95.3, 0.05)


# ------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("name", ORDER)
def test_its_code_and_its_solutions_run_and_print_what_is_shown(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": name}
    blocks = PYTHON.findall(TEXTS[name])
    assert len(blocks) >= 3, "a chapter has code and the solutions of two exercises"
    for code, shown in blocks:
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(compile(code, f"{name}.md", "exec"), space)
        assert not shown or close(told.getvalue(), shown), f"printed\n{told.getvalue()}"
    assert TEXTS[name].count("{solution}") >= 2


@pytest.mark.parametrize("name", ORDER)
def test_its_blocks_are_short(name):
    for code, _ in PYTHON.findall(TEXTS[name]):
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 26
        ast.parse(code)
        assert max(map(len, code.splitlines())) <= 100


# ------------------------------------------------------------------------------------------ claims


@pytest.mark.parametrize("name", TIERS)
def test_each_number_of_the_prose_is_read_from_the_arrays(name):
    claims, used = module(name).claims(), set()
    for bound, said, which in CLAIM.findall(TEXTS[name]):
        assert which in claims, f"{which} is no claim of figures/{name}.py"
        assert holds(bound.strip(), said, claims[which]), f"{said}: {which} is {claims[which]}"
        used.add(which)
    assert used == set(claims), f"claims that no sentence makes: {set(claims) - used}"


def without_markup(text):
    """What is left of a chapter when code, mathematics, claims and links are taken away."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"^(`{3,})(?:python|text)\n.*?^\1", "", text, flags=re.S | re.M)
    text = EXPLORABLE.sub(r"\2", text)
    text = re.sub(r"^`{4,}.*$", "", text, flags=re.M)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]*)?\$", "", text, flags=re.S)
    for pattern in (CLAIM, TRY, re.compile(r"\{\w+\}`[^`]*`"), re.compile(r"`[^`]*`")):
        text = pattern.sub("", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def loose_numbers(text):
    years = re.compile(r"\((?:[^()]*, )?(?:19|20)\d\d\)")  # of a source
    return NUMBER.findall(years.sub("", without_markup(text)))


def test_a_loose_number_is_found():
    assert loose_numbers("It takes 36 steps.") == ["36"]
    assert loose_numbers("In {claim}`36 <steps>` steps, $k = 25$, `f(3)` (Kingma, 2015).") == []


@pytest.mark.parametrize("name", ORDER)
def test_no_number_of_the_prose_is_free(name):
    """But those of tasks, which are asked for and not found."""
    text = re.sub(r"^:(?:task|answer) \w+:.*$", "", TEXTS[name], flags=re.M)
    assert loose_numbers(text) == []


@pytest.mark.parametrize("name", ORDER)
def test_links_set_what_they_say(name):
    figures = dict(EXPLORABLE.findall(TEXTS[name]))
    assert figures
    for said, figure, pairs in TRY.findall(TEXTS[name]):
        assert figure in figures, figure
        values = dict(pair.split("=") for pair in pairs.split())
        script = (FIGURES / f"{figure.replace('-', '_')}.js").read_text()
        for control in values:
            assert re.search(rf"(?:slider|chips|player)\(\"{control}\"", script), (figure, control)
        for found in NUMBER.findall(said):
            value, half = number(found)
            given = [float(v) for v in values.values() if re.fullmatch(r"[-\d.e]+", v)]
            assert any(abs(v - value) <= half * 1.0001 for v in given), (said, pairs)


# ----------------------------------------------------------------------------------------- figures


def test_the_runtime_and_the_scripts_of_figures_are_small():
    runtime = stripped(part("runtime.js")) + stripped((FIGURES / "figure.js").read_text())
    assert len(runtime.encode()) <= MOST_RUNTIME
    for name, text in TEXTS.items():
        for figure, _ in EXPLORABLE.findall(text):
            assert figure.startswith(f"{name}-")
            script = (FIGURES / f"{figure.replace('-', '_')}.js").read_text()
            assert len(stripped(script).encode()) <= MOST_SCRIPT, figure


@pytest.mark.parametrize("name", ORDER)
def test_texts_of_a_figure_are_those_its_script_asks_for(name):
    for figure, fields in EXPLORABLE.findall(TEXTS[name]):
        script = (FIGURES / f"{figure.replace('-', '_')}.js").read_text()
        tasks = set(re.findall(r"^:task (\w+):", fields, re.M))
        assert tasks == set(re.findall(r'f\.task\("(\w+)"', script)), figure
        given = set(re.findall(r"^:([\w ]+):", fields, re.M))
        asked = {f"says {key}" for key in re.findall(r'\["(\w+)"(?:, \{|\])', script)}
        asked |= set(re.findall(r'f\.text\("(\w+)"\)', script))
        asked |= set(re.findall(r'f\.(?:slider|chips|player)\("(\w+)"', script))
        known = {g for g in given if not g.startswith(("task", "answer", "title"))}
        missing = {a for a in asked if a not in known and not a.startswith("says ")}
        assert not missing, f"{figure}: {missing}"


@pytest.mark.parametrize("name", TIERS)
def test_what_a_figure_holds_is_small_json(name):
    for figure, _ in EXPLORABLE.findall(TEXTS[name]):
        data = getattr(module(name), figure.partition("-")[2])()
        assert len(json.dumps(data, allow_nan=False)) <= 450_000, figure


# --------------------------------------------------------------------------------------- notebooks


def notebook_of(name):
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module("notebooks").notebook(TEXTS[name])
    finally:
        sys.path.remove(str(DOCS / "_ext"))


@pytest.mark.parametrize("name", ORDER)
def test_its_notebook_is_one_and_has_the_same_code(name):
    nbformat = pytest.importorskip("nbformat")
    found = notebook_of(name)
    nbformat.validate(nbformat.from_dict(found))
    codes = [cell["source"] for cell in found["cells"] if cell["cell_type"] == "code"]
    assert codes == [code.rstrip("\n") for code, _ in PYTHON.findall(TEXTS[name])]
    prose = "\n".join(cell["source"] for cell in found["cells"] if cell["cell_type"] == "markdown")
    assert not re.search(r"\{\w+\}`|^:::|^```\{", prose, re.M), "MyST is left in it"


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDER)
def test_its_notebook_runs(name):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.from_dict(notebook_of(name))
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()  # raises for one
    shown = [block for _, block in PYTHON.findall(TEXTS[name]) if block]
    told = [
        "".join(out["text"] for out in cell["outputs"] if out.get("name") == "stdout")
        for cell in book.cells if cell["cell_type"] == "code"
    ]  # fmt: skip
    for block in shown:
        assert any(close(text, block) for text in told), block
