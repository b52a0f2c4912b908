"""The mistakes that are made in a formula: every formula that differs from it in one place.

A factor or a term that is missing, a sign turned round, eps inside of the root, t - 1 for t, a
square forgotten, b1 for b2, 1 - b1 for b1: what first programs have, by what we know of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from jaxopt_edu.learn.notation.nodes import Add, Call, Case, Div, Mul, Neg, Node, Num, Pow, Sym
from jaxopt_edu.learn.notation.printing import text

ONE, TWO, T = Num("1"), Num("2"), Sym("t")
Mistake = tuple[str, Node]  # what went wrong, in words, and the formula that it makes


def in_one_place(x: Node, others: Sequence[Sym] = ()) -> Iterator[Mistake]:
    """Every formula that differs from x in one place, with what went wrong.

    others: symbols that are at hand, for which one may be mistaken.
    """
    yield from here(x, others)
    for field in fields(x):
        value = getattr(x, field.name)
        if isinstance(value, Node):
            for told, new in in_one_place(value, others):
                yield told, replace(x, **{field.name: new})
        elif isinstance(value, tuple):
            for i, part in enumerate(value):
                for told, new in in_one_place(part, others):
                    changed = (*value[:i], new, *value[i + 1 :])
                    yield told, replace(x, **{field.name: changed})


def here(x: Node, others: Sequence[Sym]) -> Iterator[Mistake]:
    """The mistakes at the top of a formula."""
    match x:
        case Mul(factors):
            for i, y in enumerate(factors):
                yield f"the factor {text(y, 2)} is missing", _without(factors, i, Mul)
        case Add(terms):
            yield from _in_sum(x, terms)
        case Neg(y):
            yield "the minus sign is missing", y
        case Div(above, below):
            yield f"the division by {text(below, 3)} is missing", above
            yield f"it multiplies by {text(below, 3)} instead of dividing", Mul((above, below))
            yield f"{text(above)} and {text(below)} are exchanged", Div(below, above)
        case Pow():
            yield from _in_power(x)
        case Call(name, args):
            yield from _in_call(x, name, args)
        case Case(then, _, otherwise):
            yield f"the case {text(otherwise)} is missing", then
            yield f"the case {text(then)} is missing", otherwise
            yield "the two cases are exchanged", replace(x, then=otherwise, otherwise=then)
        case Sym():
            for other in others:
                if other != x and bool(other.time) == bool(x.time):  # no array for a number
                    yield f"{text(other)} stands where {text(x)} belongs", other
            if x.name in ("b1", "b2", "rho", "beta", "decay"):
                yield f"1 - {text(x)} stands where {text(x)} belongs", Add((ONE, Neg(x)))
            if x == T:
                yield "the steps are counted from 0: t - 1 stands for t", Add((T, Neg(ONE)))
                yield "the steps are counted from 2: t + 1 stands for t", Add((T, ONE))


def _in_sum(x: Add, terms: tuple[Node, ...]) -> Iterator[Mistake]:
    for i, y in enumerate(terms):
        bare = y.x if isinstance(y, Neg) else y
        yield f"the term {text(bare)} is missing", _without(terms, i, Add)
        turned = bare if isinstance(y, Neg) else Neg(y)
        told = f"the sign of {text(bare)} is turned round"
        yield told, Add((*terms[:i], turned, *terms[i + 1 :]))
    if terms[0] == ONE and len(terms) == 2 and isinstance(terms[1], Neg):
        kept = terms[1].x
        yield f"{text(kept)} stands where {text(x)} belongs", kept
    if swapped := _exchanged(terms):
        yield swapped
    for i, y in enumerate(terms):  # sqrt(v) + eps is not sqrt(v + eps)
        if isinstance(y, Call) and y.name == "sqrt":
            rest = (*terms[:i], *terms[i + 1 :])
            told = f"{' + '.join(map(text, rest))} stands inside of the root"
            yield told, Call("sqrt", (Add((*_terms(y.args[0]), *rest)),))


def _exchanged(terms: tuple[Node, ...]) -> Mistake | None:
    """b x + (1 - b) y with the two weights exchanged."""
    if len(terms) != 2 or not all(isinstance(y, Mul) for y in terms):
        return None
    (b, *x), (rest, *y) = (term.factors for term in terms if isinstance(term, Mul))
    if rest != Add((ONE, Neg(b))):
        return None
    told = f"{text(b)} and {text(rest, 2)} are exchanged"
    return told, Add((Mul((rest, *x)), Mul((b, *y))))


def _in_power(x: Pow) -> Iterator[Mistake]:
    base, exponent = x.base, x.exponent
    told = f"the power {text(exponent)} of {text(base, 4)} is missing"
    yield told, base
    if exponent == TWO:
        yield f"|{text(base)}| stands where {text(x)} belongs", Call("abs", (base,))


def _in_call(x: Call, name: str, args: tuple[Node, ...]) -> Iterator[Mistake]:
    if name in ("sqrt", "sign", "abs", "log", "exp", "floor"):
        yield f"{text(x)} is missing its {NAMES.get(name, name)}", args[0]
    if name == "sqrt" and isinstance(args[0], Add):
        terms = args[0].terms
        for i, y in enumerate(terms):
            told = f"{text(y)} stands outside of the root"
            yield told, Add((Call("sqrt", (_without(terms, i, Add),)), y))
    if name in ("max", "min"):
        for y in args:
            yield f"only {text(y)} is taken, without the {name}", y
        other = {"max": "min", "min": "max"}[name]
        yield f"{other} stands where {name} belongs", Call(other, args)


NAMES = {"sqrt": "root", "abs": "absolute value"}


def _terms(x: Node) -> tuple[Node, ...]:
    return x.terms if isinstance(x, Add) else (x,)


def _without(parts: tuple[Node, ...], i: int, kind: type) -> Node:
    rest = (*parts[:i], *parts[i + 1 :])
    if len(rest) > 1:
        return kind(rest)
    return rest[0] if rest else ONE
