"""Formulas as JavaScript: what a page computes itself, by the rule of the docstring.

The program of an optimizer is a function of one object $: its numbers, t, g, p, and what it keeps.
"""

from collections.abc import Collection, Iterable, Sequence

from jaxopt_edu.learn.notation.evaluation import memory_of
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
    Pow,
    Sym,
    Test,
)

MATH = ("sqrt", "sign", "exp", "log", "cos", "cosh", "floor", "abs", "max", "min")


def rule(lines: Sequence[Equation]) -> str:
    """A JavaScript function that makes one step in place and returns u, for one number.

    $.m is what was kept, $.m_ what this step gives; the start is the caller's.
    """
    order = [line for line in ordered(lines) if line.left.time != "0"]
    own = {line.key for line in order}
    body = [f"$.{plain(line.left.name)}_={code(line.right, own)}" for line in order]
    kept = [f"$.{plain(name)}=$.{plain(name)}_" for name in memory_of(lines)]
    return f"$=>{{{';'.join([*body, *kept])};return $.u_}}"


def program(lines: Sequence[Equation]) -> str:
    """An object of JavaScript: kept(numbers), what is kept before the first step, and step($).

    >>> from jaxopt_edu.learn.notation.docstrings import formula_named
    >>> program(formula_named("sgd").where(momentum=0.9))
    '{kept:$=>({c:0}),step:$=>{$.c_=($.g+($.mu*$.c));$.u_=(-($.eta*$.c_));$.c=$.c_;return $.u_}}'
    """
    starts = {line.left.name: code(line.right) for line in lines if line.left.time == "0"}
    kept = ",".join(f"{plain(name)}:{starts.get(name, '0')}" for name in memory_of(lines))
    return f"{{kept:$=>({{{kept}}}),step:{rule(lines)}}}"


def ordered(lines: Sequence[Equation]) -> list[Equation]:
    """The lines, each behind those whose result it takes."""
    defined = {line.key: line for line in lines if not line.args}
    done: dict[str, Equation] = {}

    def put(line: Equation) -> None:
        for node in line.right.all():
            if isinstance(node, Sym) and node.key in defined and node.key not in done:
                put(defined[node.key])
        done[line.key] = line

    for line in defined.values():
        if line.key not in done:
            put(line)
    return list(done.values())


def code(x: Node, own: Collection[str] = ()) -> str:
    """An expression; own: the keys of what the step itself gives."""

    def joined(sign: str, parts: Iterable[Node]) -> str:
        return f"({sign.join(code(y, own) for y in parts)})"

    match x:
        case Num(text):
            return text
        case Sym():
            return "Math.PI" if x.name == "pi" else f"$.{plain(x.name)}{'_' * (x.key in own)}"
        case Neg(y):
            return f"(-{code(y, own)})"
        case Add(terms):
            return joined("+", terms)
        case Mul(factors):
            return joined("*", factors)
        case Div(above, below):
            return joined("/", (above, below))
        case Pow(base, exponent):
            return joined("**", (base, exponent))
        case Call(called, args) if called in MATH:
            return f"Math.{called}{joined(',', args)}"
        case Test(op, left, right):
            sign = {"=": "===", "!=": "!=="}.get(op, op)
            return f"({code(left, own)}{sign}{code(right, own)}?1:0)"
        case Case(then, test, otherwise):
            return f"({code(test, own)}?{code(then, own)}:{code(otherwise, own)})"
    raise ValueError(f"{type(x).__name__} stands in no rule for one number")


def plain(name: str) -> str:
    """A symbol as a name in JavaScript."""
    return name.replace("^", "h")
