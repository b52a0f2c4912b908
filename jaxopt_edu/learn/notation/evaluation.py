"""Formulas as programs: the value of a node where its symbols have values, and steps of equations.

Arrays have named axes: w_i is an array along i, g_{ij} along i and j, and x_y, where y is a whole
number, its entry y. What has no axes in a formula is a number, or an array taken number by number.
"""

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

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

CALLS: dict[str, Any] = {
    "sqrt": np.sqrt, "sign": np.sign, "exp": np.exp, "log": np.log, "cos": np.cos,
    "cosh": np.cosh, "floor": np.floor, "abs": np.abs, "max": np.maximum, "min": np.minimum,
    "norm": lambda x: np.sqrt(np.sum(np.square(x))),
    "rms": lambda x: np.sqrt(np.mean(np.square(x))),
}  # fmt: skip
OVER: dict[str, Any] = {"sum": np.sum, "product": np.prod, "mean": np.mean, "max": np.max}
TESTS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "=": np.equal,
    "!=": np.not_equal,
}  # fmt: skip
CONSTANTS = {"pi": np.pi}


class Scope:
    """The values of symbols: those that are given, and those that equations define, on demand.

    given: by key (m_{t-1}, eta_t, g); functions too, by their names.
    """

    def __init__(self, equations: Iterable[Equation], given: Mapping[str, Any]):
        self.equations = {line.key: line for line in equations if not line.args}
        self.functions = {line.left.name: line for line in equations if line.args}
        self.known = dict(CONSTANTS | dict(given))
        self.axes = axes_of(self.equations.values(), self.known)

    def value(self, x: Node) -> Any:
        """The value of a node, its axes in the order of `axes`."""
        match x:
            case Num(text):
                return float(text)
            case Sym():
                return self.symbol(x)
            case Neg(y):
                return -self.value(y)
            case Add(terms):
                return sum(map(self.value, terms[1:]), self.value(terms[0]))
            case Mul(factors):
                return functools.reduce(operator.mul, map(self.value, factors))
            case Div(above, below):
                return self.value(above) / self.value(below)
            case Pow(base, exponent):
                return self.value(base) ** self.value(exponent)
            case Call(name, args):
                return self.called(name, [self.value(y) for y in args])
            case Over(name, axis, y):
                return OVER[name](self.value(y), axis=self.axes.index(axis), keepdims=True)
            case Test(op, left, right):
                return 1.0 * TESTS[op](self.value(left), self.value(right))
            case Case(then, test, otherwise):
                return np.where(self.value(test) > 0, self.value(then), self.value(otherwise))
        raise TypeError(f"no node: {x!r}")

    def called(self, name: str, args: list) -> Any:
        if name in CALLS:
            return CALLS[name](*args)
        if name in self.known:
            return self.known[name](*args)
        line = self.functions[name]
        body = Equation(Sym("result"), line.right, line.text)
        given = self.known | dict(zip(line.args, args, strict=True))
        return Scope([*self.equations.values(), body], given)["result"]

    def symbol(self, x: Sym) -> Any:
        if x.key not in self.known and x.key in self.axes and not x.axes:
            size = self.sizes()[x.key]
            return self._aligned(np.arange(size, dtype=float), x.key)
        found = self[x.key]
        for letter in x.axes:
            if letter in self.known:  # the entry that a whole number picks
                return found[int(self.known[letter])]
        return self._aligned(found, x.axes) if x.axes else found

    def sizes(self) -> dict[str, int]:
        """How long each axis is, by the arrays that are given."""
        found: dict[str, int] = {}
        for line in self.equations.values():
            for node in line.right.all():
                if isinstance(node, Sym) and node.axes and node.key in self.known:
                    shape = np.shape(self.known[node.key])
                    found |= dict(zip(node.axes, shape, strict=False))
        return found

    def _aligned(self, x: Any, letters: str) -> Any:
        shape = [1] * len(self.axes)
        for letter, size in zip(letters, np.shape(x), strict=True):
            shape[self.axes.index(letter)] = size
        order = sorted(range(len(letters)), key=lambda i: self.axes.index(letters[i]))
        return np.transpose(x, order).reshape(shape)

    def __getitem__(self, key: str) -> Any:
        """The value of a symbol by its key, as it is given or defined."""
        if key not in self.known:
            if key not in self.equations:
                raise KeyError(key)
            line = self.equations[key]
            self.known[key] = self._own(self.value(line.right), line.left.axes)
        return self.known[key]

    def _own(self, x: Any, letters: str) -> Any:
        """A value along these axes only, in their order."""
        if not self.axes or np.ndim(x) != len(self.axes):
            return x
        others = tuple(i for i, a in enumerate(self.axes) if a not in letters)
        x = np.squeeze(x, axis=others)
        left = [a for a in self.axes if a in letters]
        return np.transpose(x, [left.index(a) for a in letters])


def axes_of(equations: Iterable[Equation], known: Mapping[str, Any]) -> str:
    """The letters of the axes in equations: those that no given whole number stands for."""
    letters = dict.fromkeys("".join(map(_letters, equations)))
    return "".join(a for a in letters if a not in known)


@functools.cache
def _letters(line: Equation) -> str:
    parts = [line.left, *line.right.all()]
    return "".join(
        x.axes if isinstance(x, Sym) else x.axis for x in parts if isinstance(x, Sym | Over)
    )


# ---------------------------------------------------------------------------------- by steps


def memory_of(equations: Sequence[Equation]) -> list[str]:
    """The names of what is kept from step to step, in the order in which they are asked for."""
    asked = [
        s.name
        for line in equations
        for s in line.right.all()
        if isinstance(s, Sym) and s.time == "t-1"
    ]
    return list(dict.fromkeys(asked))


def start_of(equations: Sequence[Equation], given: Mapping[str, Any], like: Any) -> dict[str, Any]:
    """What is kept, before the first step: as its equation m_0 = ... says, else zeros."""
    scope, zeros = Scope(equations, given), np.zeros_like(like)
    defined = {line.key for line in equations}
    return {
        name: scope[f"{name}_0"] + zeros if f"{name}_0" in defined else zeros
        for name in memory_of(equations)
    }


def step(
    equations: Sequence[Equation],
    memory: Mapping[str, Any],
    given: Mapping[str, Any],
    ask: str = "u_t",
) -> tuple[Any, dict[str, Any]]:
    """(the value of `ask`, what is kept) after one step."""
    before = {f"{name}_{{t-1}}": x for name, x in memory.items()}
    scope = Scope(equations, {**given, **before})
    return scope[ask], {name: scope[f"{name}_t"] for name in memory}
