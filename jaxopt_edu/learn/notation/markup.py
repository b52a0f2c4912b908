"""Formulas as MathML, which every browser sets by itself: no script, no font.

Symbols that stand for a field carry data-field="learning_rate", so that a page lights them up with
their slider.
"""

import itertools
import re
from html import escape

from jaxopt_edu.learn.notation.nodes import (
    Add,
    Call,
    Case,
    Div,
    Equation,
    Mul,
    Neg,
    Node,
    Num,
    Over,
    Pow,
    Sym,
    Test,
)

FIELDS = {"eta": "learning_rate", "mu": "momentum", "lambda": "weight_decay"}  # else its own name
GREEK = {
    name: chr(code)
    for name, code in {
        "alpha": 0x3B1, "beta": 0x3B2, "gamma": 0x3B3, "delta": 0x3B4, "eps": 0x3B5, "eta": 0x3B7,
        "lambda": 0x3BB, "mu": 0x3BC, "nu": 0x3BD, "pi": 0x3C0, "rho": 0x3C1, "sigma": 0x3C3,
        "tau": 0x3C4,
    }.items()
}  # fmt: skip
SPACE = '<mspace width="0.2em"></mspace>'
MINUS = "\u2212"
SIGNS = {"<=": "\u2264", ">=": "\u2265", "!=": "\u2260"}
BIG = {"sum": "\u2211", "product": "\u220f"}


def mathml(line: Equation) -> str:
    """An equation as a <math> element, set by itself.

    >>> from jaxopt_edu.learn.notation.reading import equation
    >>> mathml(equation("u = g"))
    '<math display="block"><mi>u</mi><mo>=</mo><mi>g</mi></math>'
    """
    left = name(line.left)
    if found := re.match(r"\w+_\{(\w+) (\w+)\}\(", line.text):  # prox_{s r}(w)
        left = f"<msub>{left}<mrow>{''.join(map(_letter, found.groups()))}</mrow></msub>"
    if line.args:
        left = _row(left, "<mo>(</mo>", "<mo>,</mo>".join(map(_word, line.args)), "<mo>)</mo>")
    return f'<math display="block">{left}<mo>=</mo>{node(line.right)}</math>'


def node(x: Node, level: int = 0) -> str:
    """A node; level: how tightly it is bound by what stands around it (brackets, as in text)."""
    match x:
        case Num(text):
            return _number(text)
        case Sym():
            return name(x)
        case Neg(y):
            return _bracketed(f"<mo>\u2212</mo>{node(y, 1)}", level > 0)
        case Add(terms):
            return _bracketed("".join(_term(y, i) for i, y in enumerate(terms)), level > 0)
        case Mul(factors):
            return _bracketed(_product(factors), level > 2)
        case Div(above, below):
            return f"<mfrac><mrow>{node(above)}</mrow><mrow>{node(below)}</mrow></mfrac>"
        case Pow(base, exponent):
            return f"<msup><mrow>{node(base, 3)}</mrow><mrow>{node(exponent)}</mrow></msup>"
        case Call(called, args):
            return _call(called, args)
        case Over(sign, axis, y):
            big = f"<mo>{BIG[sign]}</mo>" if sign in BIG else f"<mi>{sign}</mi>"
            under = f"<munder>{big}<mi>{axis}</mi></munder>"
            return _bracketed(under + node(y, 2), level > 2)
        case Test(op, left, right):
            inner = f"{node(left)}<mo>{escape(SIGNS.get(op, op))}</mo>{node(right)}"
            return _row("<mo>[</mo>", inner, "<mo>]</mo>") if level else inner
        case Case():
            return _row("<mo>{</mo>", f"<mtable>{''.join(_rows(x))}</mtable>")
    raise TypeError(f"no node: {x!r}")


def _product(factors: tuple[Node, ...]) -> str:
    """Factors side by side, with a space beside words."""
    parts = [node(factors[0], 2)]
    for before, x in itertools.pairwise(factors):
        parts += [SPACE * (_is_word(before) or _is_word(x)), node(x, 2)]
    return "".join(parts)


def _is_word(x: Node) -> bool:
    called = isinstance(x, Call) and x.name not in ("abs", "norm", "sqrt", "exp")
    return called or (isinstance(x, Sym) and "<mtext" in name(x) and x.name not in ("b1", "b2"))


def _rows(x: Node) -> list[str]:
    if not isinstance(x, Case):
        return [f"<mtr><mtd>{node(x)}</mtd><mtd><mtext>else</mtext></mtd></mtr>"]
    test = f"<mtext>if&nbsp;</mtext>{node(x.test)}"
    return [f"<mtr><mtd>{node(x.then)}</mtd><mtd>{test}</mtd></mtr>", *_rows(x.otherwise)]


def _term(x: Node, place: int) -> str:
    if isinstance(x, Neg):
        return f"<mo>\u2212</mo>{node(x.x, 1)}"
    return node(x, 1) if place == 0 else f"<mo>+</mo>{node(x, 1)}"


def _call(called: str, args: tuple[Node, ...]) -> str:
    inner = "<mo>,</mo>".join(node(y) for y in args)
    match called:
        case "sqrt":
            return f"<msqrt>{inner}</msqrt>"
        case "abs":
            return _row("<mo>|</mo>", inner, "<mo>|</mo>")
        case "norm":
            return _row("<mo>\u2016</mo>", inner, "<mo>\u2016</mo>")
        case "exp":
            return f"<msup><mi>e</mi><mrow>{inner}</mrow></msup>"
    simple = called in ("log", "cos", "sign") and isinstance(args[0], Num | Sym)
    head = f"<mi>{escape(called)}</mi>"
    return _row(head, SPACE, inner) if simple else _row(head, "<mo>(</mo>", inner, "<mo>)</mo>")


def name(x: Sym) -> str:
    """A symbol with its hat and its indices."""
    base = x.name.removesuffix("^")
    letters = _word(base)
    if x.name.endswith("^"):
        letters = f'<mover accent="true">{letters}<mo>^</mo></mover>'
    index = (x.time or x.axes).replace("-", MINUS)
    if index:
        letters = f"<msub>{letters}<mrow>{''.join(_letter(a) for a in index)}</mrow></msub>"
    return letters


def _word(base: str) -> str:
    """A name: a letter, a Greek one, one with a number (b1), or a word."""
    head = base.rstrip("0123456789")
    number = base[len(head) :]
    field = f' data-field="{FIELDS.get(base, base)}"'
    head, _, tail = ("beta", "", "") if base in ("b1", "b2") else head.partition("_")
    if head in GREEK or (len(head) == 1 and (number or tail)):
        index = number or tail
        letter = f"<mi{field}>{GREEK.get(head, head)}</mi>"
        return f"<msub>{letter}<mtext>{index}</mtext></msub>" if index else letter
    if len(base) == 1:
        return f"<mi>{base}</mi>"
    return f"<mtext{field}>{escape(base)}</mtext>"


def _letter(a: str) -> str:
    return (
        f"<mn>{a}</mn>" if a.isdigit() else f"<mo>{a}</mo>" if a in f"{MINUS}+" else f"<mi>{a}</mi>"
    )


def _number(text: str) -> str:
    digits, sign, power = text.partition("e")
    if not sign:
        return f"<mn>{text}</mn>"
    ten = f"<msup><mn>10</mn><mn>{power.replace('-', MINUS)}</mn></msup>"
    return ten if digits == "1" else f"<mn>{digits}</mn><mo>\u00b7</mo>{ten}"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _bracketed(inner: str, wanted: bool) -> str:
    return _row("<mo>(</mo>", inner, "<mo>)</mo>") if wanted else inner
