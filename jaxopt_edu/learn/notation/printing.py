"""Formulas as text again, in the notation in which they are read."""

from jaxopt_edu.learn.notation.nodes import (
    Add,
    Call,
    Case,
    Div,
    Mul,
    Neg,
    Node,
    Num,
    Over,
    Pow,
    Sym,
    Test,
)


def text(x: Node, level: int = 0) -> str:
    """A node as text; level: how tightly it is bound by what stands around it.

    0 a sum, 1 a term, 2 a factor, 3 what carries a power or stands below a fraction line.

    >>> from jaxopt_edu.learn.notation.reading import expression
    >>> text(expression("-eta_t  m / (sqrt(v)+eps)"))
    '-eta_t m / (sqrt(v) + eps)'
    """
    match x:
        case Num(written):
            return written
        case Sym(name, time, axes):
            index = time or axes
            return f"{name}_{{{index}}}" if len(index) > 1 else f"{name}_{index}" if index else name
        case Call("abs", (y,)):
            return f"|{text(y)}|"
        case Call("log", (Sym() | Num() as y,)):
            return f"log {text(y)}"
        case Call(name, args):
            return f"{name}({', '.join(map(text, args))})"
        case Pow(base, exponent):
            return _in_brackets(f"{text(base, 4)}^{text(exponent, 4)}", level > 3)
        case Div(above, below):
            under = text(below, 1 if isinstance(below, Over) else 3)
            return _in_brackets(f"{text(above, 1)} / {under}", level > 1)
        case Mul(factors):
            return _in_brackets(" ".join(_factors(factors)), level > 1)
        case Over(name, axis, y):
            return _in_brackets(f"{name}_{axis} {text(y, 1)}", level > 1)
        case Neg(y):
            return _in_brackets(f"-{text(y, 1)}", level > 0)
        case Add(terms):
            return _in_brackets("".join(_term(y, i) for i, y in enumerate(terms)), level > 0)
        case Test(op, left, right):
            inner = f"{text(left)} {op} {text(right)}"
            return f"[{inner}]" if level else inner
        case Case(then, test, otherwise):
            inner = f"{text(then)} if {text(test)}, else {text(otherwise)}"
            return _in_brackets(inner, level > 0)
    raise TypeError(f"no node: {x!r}")


def _factors(parts: tuple[Node, ...]) -> list[str]:
    """Factors: a fraction may stand first, a sum last, without brackets."""
    first, last = parts[0], parts[-1]
    loose = [y is first and isinstance(y, Div) or y is last and isinstance(y, Over) for y in parts]
    return [text(y, 1 if bare else 2) for y, bare in zip(parts, loose, strict=True)]


def _term(x: Node, place: int) -> str:
    if isinstance(x, Neg):
        return f"{' - ' if place else '-'}{text(x.x, 1)}"
    return f"{' + ' if place else ''}{text(x, 1)}"


def _in_brackets(inner: str, wanted: bool) -> str:
    return f"({inner})" if wanted else inner
