"""What a formula is made of: small values, which `reading` makes out of text.

The same value is evaluated (`evaluation`), set as MathML (`markup`), written as JavaScript
(`javascript`) and changed in one place (`learn.mistakes`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

TIMES = ("t", "t-1", "t+1", "0")  # indices that count steps; others are those of arrays


@dataclass(frozen=True)
class Node:
    """Base of the parts of a formula."""

    def parts(self) -> Iterator["Node"]:
        """The nodes of which this one is made."""
        for field in fields(self):
            value = getattr(self, field.name)
            for x in value if isinstance(value, tuple) else (value,):
                if isinstance(x, Node):
                    yield x

    def all(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        for part in self.parts():
            yield from part.all()


@dataclass(frozen=True)
class Num(Node):
    """A number as it is written: `text` is 0.5, 2, 1e-6."""

    text: str


@dataclass(frozen=True)
class Sym(Node):
    """A symbol: m_{t-1} has time t-1; w_i and g_{ij} have axes i and ij; x_y is picked by y.

    A hat belongs to the name: v^.
    """

    name: str
    time: str = ""
    axes: str = ""

    @property
    def key(self) -> str:
        """The name that it has in an environment: with its time, without its axes."""
        return f"{self.name}_{{{self.time}}}" if len(self.time) > 1 else (
            f"{self.name}_{self.time}" if self.time else self.name
        )  # fmt: skip


@dataclass(frozen=True)
class Neg(Node):
    x: Node


@dataclass(frozen=True)
class Add(Node):
    """A sum; what is subtracted is a `Neg`."""

    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Mul(Node):
    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Div(Node):
    above: Node
    below: Node


@dataclass(frozen=True)
class Pow(Node):
    base: Node
    exponent: Node


@dataclass(frozen=True)
class Call(Node):
    """A function of arguments: sqrt(x), max(a, b), loss(x, y); |x| is abs."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Over(Node):
    """A reduction over an axis: sum_i x, product_i x, mean_i x, max_k x."""

    name: str
    axis: str
    x: Node


@dataclass(frozen=True)
class Test(Node):
    """A comparison; as a number, in brackets, 1 where it holds and else 0."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Case(Node):
    """then if test, else otherwise"""

    then: Node
    test: Test
    otherwise: Node


@dataclass(frozen=True)
class Equation:
    """One line: what is defined, by what; args where it is a function of these, as r(w).

    text: the line as it is printed.
    """

    left: Sym
    right: Node
    text: str
    args: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.left.key


def symbols(x: Any) -> list[Sym]:
    """The symbols of a node, in order, each once."""
    return list(dict.fromkeys(node for node in x.all() if isinstance(node, Sym)))
