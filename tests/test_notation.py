"""The notation of formulas: read, printed, set as MathML and written as JavaScript."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.learn.notation import docstrings, evaluation
from jaxopt_edu.learn.notation.evaluation import Scope
from jaxopt_edu.learn.notation.javascript import rule
from jaxopt_edu.learn.notation.markup import mathml
from jaxopt_edu.learn.notation.nodes import Sym, symbols
from jaxopt_edu.learn.notation.printing import text
from jaxopt_edu.learn.notation.reading import NotRead, equation, expression

CHAPTERS = (jo.optimizers, jo.transforms, jo.schedules, jo.losses, jo.regularizers)
ALL = {
    name: found
    for chapter in CHAPTERS for name in chapter.__all__
    if (found := docstrings.formula_of(getattr(chapter, name)))
}  # fmt: skip
LINES = {line.text: line for found in ALL.values() for line in found.equations} | {
    line.text: line for found in ALL.values() for v in found.variants for line in v.equations
}


def value(written, **given):
    return np.squeeze(Scope([equation(f"out = {written}")], given)["out"])


@pytest.mark.parametrize(
    ("written", "given", "wanted"),
    [
        ("a b / c d", {"a": 2.0, "b": 3.0, "c": 4.0, "d": 5.0}, 7.5),
        ("a / (b c)", {"a": 12.0, "b": 2.0, "c": 3.0}, 2.0),
        ("-a^2", {"a": 3.0}, -9.0),
        ("2 a^(b + 1)", {"a": 2.0, "b": 2.0}, 16.0),
        ("|a - b|^2", {"a": 1.0, "b": 4.0}, 9.0),
        ("a |b| c", {"a": 2.0, "b": -3.0, "c": 1.0}, 6.0),
        ("log a - log(1 - b)", {"a": 1.0, "b": 0.0}, 0.0),
        ("1e-6 a", {"a": 1e6}, 1.0),
        ("sum_i w_i^2", {"w": np.array([1.0, 2.0])}, 5.0),
        ("max_k (x_k + [k != y]) - x_y", {"x": np.array([1.0, 2.0, 0.5]), "y": 1}, 0.0),
        ("product_i s_i^[b_i <= t]",
         {"s": np.array([2.0, 3.0]), "b": np.array([1.0, 5.0]), "t": 3.0}, 2.0),
        ("a if a > b, else b if b > c, else c", {"a": 1.0, "b": 2.0, "c": 3.0}, 3.0),
        ("f(a, b)", {"f": lambda x, y: x - y, "a": 5.0, "b": 2.0}, 3.0),
        ("pi a", {"a": 1.0}, np.pi),
        ("[a = b]", {"a": 1.0, "b": 1.0}, 1.0),
    ],
)  # fmt: skip
def test_expressions_have_their_value(written, given, wanted):
    assert value(written, **given) == pytest.approx(wanted)


def test_axes_keep_their_order():
    g = np.arange(6.0).reshape(2, 3)
    lines = [equation("u_{ji} = g_{ij} - mean_j g_{ij}")]
    np.testing.assert_allclose(Scope(lines, {"g": g})["u"], (g - g.mean(1, keepdims=True)).T)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("a +", "its end"), ("(a", "wanted ')'"), ("a b)", "left over"), ("|a", "wanted '|'"),
        ("sqrt a", "wants its argument"), ("a $ b", "cannot be read"),
        ("a if b, else c", "wanted a comparison"), ("a if b > c", "wanted ','"),
        ("a if b > c, d", "wanted ', else'"), ("a / / b", "where a factor belongs"),
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused_with_its_place(written, words):
    with pytest.raises(NotRead, match=re.escape(words)):
        expression(written)
    with pytest.raises(NotRead, match="no ' = '"):
        equation("a b")
    with pytest.raises(NotRead, match="no symbol"):
        equation("2 = a")


def test_symbols_have_names_times_and_axes():
    found = symbols(expression("m^_{t-1} + w_i + g_{ij} + rho_inf + b1"))
    assert found == [
        Sym("m^", time="t-1"),
        Sym("w", axes="i"),
        Sym("g", axes="ij"),
        Sym("rho_inf"),
        Sym("b1"),
    ]
    assert [s.key for s in found] == ["m^_{t-1}", "w", "g", "rho_inf", "b1"]


@pytest.mark.parametrize("written", LINES)
def test_a_line_is_printed_as_it_is_read(written):
    line = LINES[written]
    assert expression(text(line.right)) == line.right
    assert text(line.right) == written.partition(" = ")[2]


@pytest.mark.parametrize("written", LINES)
def test_a_line_is_set_as_mathml(written):
    root = ET.fromstring(mathml(LINES[written]).replace("&nbsp;", " "))
    assert root.tag == "math"
    known = {"math", "mrow", "mi", "mn", "mo", "mtext", "mfrac", "msup", "msub", "msqrt", "mover",
             "munder", "mspace", "mtable", "mtr", "mtd"}  # fmt: skip
    assert {x.tag for x in root.iter()} <= known
    assert all(
        len(x) == 2 for x in root.iter() if x.tag in ("mfrac", "msup", "msub", "mover", "munder")
    )


def test_symbols_of_fields_carry_their_name():
    found = mathml(equation("u_t = -eta_t m^_t / (sqrt(v^_t + eps_root) + eps) + mu b1"))
    named = set(re.findall('data-field="([a-z_0-9]+)"', found))
    assert named == {"learning_rate", "eps_root", "eps", "momentum", "b1"}
    assert "η" in found and "ε" in found and "β" in found and "<msqrt>" in found


def test_variants_hold_where_their_fields_do():
    found = docstrings.formula_named("rmsprop")
    plain = {line.key: line.text for line in found.where()}
    both = {line.key: line.text for line in found.where(centered=True, bias_correction=True)}
    assert plain["v^_t"] == "v^_t = v_t" and "m_t" not in plain
    assert both["v^_t"] == "v^_t = v_t / b_t - (m_t / b_t)^2" and "m_t" in both
    assert found.where(eps_in_sqrt=True)[3].text == "d_t = -eta_t g_t / sqrt(v^_t + eps)"


# ------------------------------------------------------------------------------------- JavaScript

IN_A_PAGE = (
    "adam",
    "amsgrad",
    "adabelief",
    "adagrad",
    "adamax",
    "lion",
    "rmsprop",
    "signum",
    "yogi",
    "radam",
)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")
def test_javascript_makes_the_steps_of_the_library():
    rng, jobs, wanted = np.random.default_rng(0), [], []
    g = rng.normal(size=(6, 4))
    with jax.enable_x64(True):
        for name in IN_A_PAGE:
            optimizer = getattr(jo, name)(0.1)
            lines = docstrings.formula_named(name).where(**vars(optimizer))
            given = {"eta": 0.1, "lambda": getattr(optimizer, "weight_decay", 0.0)}
            given |= {k: v for k, v in vars(optimizer).items() if isinstance(v, float)}
            start = evaluation.start_of(lines, given | {"eta_t": 0.1}, 0.0)
            start = {k.replace("^", "h"): float(x) for k, x in start.items()}
            jobs.append({"code": rule(lines), "numbers": given | start})
            state, out = optimizer.init(np.zeros(4)), []
            for row in g:
                u, state = optimizer.update(row, state, np.zeros(4))
                out.append(np.asarray(u))
            wanted.append(out)
    script = """
    const {jobs, g} = JSON.parse(require("fs").readFileSync(0));
    const out = jobs.map(({code, numbers}) => {
      const f = eval(code), lanes = g[0].map(() => ({...numbers, p: 0}));
      return g.map((row, t) => row.map((x, i) => f(Object.assign(lanes[i], {t: t + 1, g: x}))));
    });
    console.log(JSON.stringify(out));
    """
    told = json.dumps({"jobs": jobs, "g": g.tolist()})
    done = subprocess.run(
        ["node", "-e", script], input=told, capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(json.loads(done.stdout), wanted, rtol=1e-12)
    assert max(len(job["code"]) for job in jobs) < 700
