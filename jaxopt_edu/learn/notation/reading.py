"""The one reader of the formulas in docstrings: text -> nodes.

equation:  m_t = b1 m_{t-1} + (1 - b1) g_t        a product is written side by side
           d = x / y                              / divides all that stands before it by one factor
           l = e^2 / 2 if |e| <= delta, else 0    a case distinction
           r(w) = weight sum_i |w_i|              a function; a sum over an axis
           u = g min(1, c / norm(g))              a call: no space before the bracket
           l = max_k (x_k + [k != y]) - x_y       [...] is 1 where it holds; x_y is entry y of x
"""

import re
from collections.abc import Callable, Iterator

from jaxopt_edu.learn.notation.nodes import (
    TIMES,
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

TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)"
    r"|(?P<name>[A-Za-z]+\d*(?:_[a-z]{2,}\d*)*(?:\^(?=_))?)"
    r"|(?P<index>_\{[^{}]*\}|_[A-Za-z0-9])"
    r"|(?P<op><=|>=|!=|[-+/^(),;|\[\]<>=])"
)
FUNCTIONS = ("sqrt", "sign", "exp", "log", "cos", "cosh", "floor", "max", "min", "norm", "rms")
REDUCTIONS = ("sum", "product", "mean", "max")
COMPARISONS = ("<=", ">=", "<", ">", "=", "!=")
BY_ITSELF = ("log", "exp", "cos", "sign")  # functions that may stand before a factor: log p


class NotRead(ValueError):
    """A text is no formula; the message says where reading stopped."""


def equation(text: str) -> Equation:
    """An equation: errors: NotRead."""
    text = text.strip()
    left, sign, right = text.partition(" = ")
    if not sign:
        raise NotRead(f"no ' = ' in {text!r}")
    head = re.fullmatch(r"(?P<name>.*?)(?:\((?P<args>[\w, ]+)\))?", left)
    assert head is not None
    reader = Reader(head["name"])
    name = reader.atom()
    reader.end()
    if not isinstance(name, Sym):
        raise NotRead(f"{left!r} is no symbol that could be defined")
    args = tuple(x.strip() for x in (head["args"] or "").split(",") if x.strip())
    return Equation(Sym(name.name) if args else name, expression(right), text, args)


def expression(text: str) -> Node:
    """The value of a text such as "b1 m_{t-1} + (1 - b1) g_t". Errors: NotRead."""
    reader = Reader(text)
    found = reader.cases()
    reader.end()
    return found


class Reader:
    """A reader by recursive descent: one method for each level of the notation."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0
        self.bars = 0  # how many | are open

    # ---------------------------------------------------------------------------- tokens

    @property
    def next(self) -> str:
        return self.tokens[self.at][1]

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    def take(self, wanted: str = "") -> str:
        if wanted and self.next != wanted:
            raise NotRead(f"{self.text!r}: wanted {wanted!r}, found {self.next or 'its end'!r}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def word(self, *words: str) -> bool:
        """Whether one of these words comes next."""
        return self.kind == "name" and self.next in words

    def end(self) -> None:
        if self.kind != "end":
            raise NotRead(f"{self.text!r}: {self.next!r} is left over")

    # ---------------------------------------------------------------------------- levels

    def cases(self) -> Node:
        then = self.sum()
        if not self.word("if"):
            return then
        self.take()
        test = self.comparison()
        self.take(",")
        if not self.word("else"):
            raise NotRead(f"{self.text!r}: wanted ', else' after the condition")
        self.take()
        return Case(then, test, self.cases())

    def comparison(self) -> Test:
        left = self.sum()
        if self.next not in COMPARISONS:
            raise NotRead(f"{self.text!r}: wanted a comparison, found {self.next!r}")
        return Test(self.take(), left, self.sum())

    def sum(self) -> Node:
        terms = [self.signed()]
        while self.next in ("+", "-"):
            minus = self.take() == "-"
            term = self.product()
            terms.append(Neg(term) if minus else term)
        return terms[0] if len(terms) == 1 else Add(tuple(terms))

    def signed(self) -> Node:
        if self.next != "-":
            return self.product()
        self.take()
        return Neg(self.product())

    def product(self) -> Node:
        factors = [self.power()]
        while True:
            if self.next == "/":
                self.take()
                factors = [Div(_product(factors), self.power())]
            elif self.factor_comes():
                factors.append(self.power())
            else:
                return _product(factors)

    def factor_comes(self) -> bool:
        if self.kind in ("name", "end"):
            return self.next not in ("", "if", "else")
        return self.kind == "number" or self.next in ("(", "[", "" if self.bars else "|")

    def power(self) -> Node:
        base = self.atom()
        if self.next != "^":
            return base
        self.take()
        return Pow(base, self.atom())

    def atom(self) -> Node:
        if self.kind == "number":
            return Num(self.take())
        if self.kind == "name":
            return self.named()
        if self.next == "(":
            return self.bracketed(self.cases, ")")
        if self.next == "[":
            return self.bracketed(self.comparison, "]")
        if self.next == "|":
            self.take()
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.take("|")
            return Call("abs", (inner,))
        raise NotRead(f"{self.text!r}: {self.next or 'its end'!r} stands where a factor belongs")

    def bracketed(self, inner: Callable[[], Node], close: str) -> Node:
        self.take()
        bars, self.bars = self.bars, 0
        found = inner()
        self.bars = bars
        self.take(close)
        return found

    def named(self) -> Node:
        name = self.take()
        if name in REDUCTIONS and self.kind == "index":
            return Over(name, self.index(), self.product())
        called = self.next == "(" and not self.tokens[self.at][2]
        if called:
            return Call(name, self.arguments())
        if name in BY_ITSELF:
            return Call(name, (self.power(),))
        if name in FUNCTIONS:
            raise NotRead(f"{self.text!r}: {name} wants its argument in brackets")
        if self.kind != "index":
            return Sym(name)
        index = self.index()
        return Sym(name, time=index) if index in TIMES else Sym(name, axes=index)

    def arguments(self) -> tuple[Node, ...]:
        self.take("(")
        bars, self.bars = self.bars, 0
        found = [self.cases()]
        while self.next == ",":
            self.take()
            found.append(self.cases())
        self.bars = bars
        self.take(")")
        return tuple(found)

    def index(self) -> str:
        return self.take().strip("_{}").replace(" ", "")


def _product(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else Mul(tuple(factors))


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    """(kind, text, whether a space stands before it) of each token, and the end."""
    at = 0
    while at < len(text):
        space = text[at] == " "
        if space:
            at += 1
            continue
        found = TOKEN.match(text, at)
        if found is None:
            raise NotRead(f"{text!r}: {text[at:]!r} cannot be read")
        yield str(found.lastgroup), found[0], at > 0 and text[at - 1] == " "
        at = found.end()
    yield "end", "", False
