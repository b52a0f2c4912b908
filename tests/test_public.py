"""Public names and their signatures are those of fixtures/public.txt.

A name that goes or changes warns for one version (jaxopt_edu/values/deprecated.py) and is
named in CHANGELOG.md. Where a difference is meant, `python tests/test_public.py renew` writes
the file anew.
"""

import dataclasses
import functools
import inspect
import sys
import types
import typing
from pathlib import Path

import jaxopt_edu

FILE = Path(__file__).parent / "fixtures" / "public.txt"
RENEW = "python tests/test_public.py renew"
NO_MEMBERS = (object, tuple)


def public(module, path="jo"):
    """Names of a module and of the public modules below it, with what they stand for."""
    own = (n for n, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__)
    for name in sorted(set(getattr(module, "__all__", own))):
        thing = getattr(module, name)
        if name.startswith("_"):
            continue
        yield f"{path}.{name}", thing
        if isinstance(thing, types.ModuleType):
            yield from public(thing, f"{path}.{name}")


def default(value):
    """A default as it is written; functions and objects by their names, for they have addresses."""
    if isinstance(value, tuple) and len(value) > 8:
        return f"({default(value[0])}, ..., {default(value[-1])})"
    if isinstance(value, tuple):
        return f"({', '.join(map(default, value))}{',' * (len(value) == 1)})"
    ours = dataclasses.is_dataclass(value) and type(value).__module__.startswith("jaxopt_edu")
    if value is None or ours or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    return getattr(value, "__qualname__", "...")


def arguments(call, bound=False):
    """The signature of a call without its types; bound: without its first argument."""
    signature = inspect.signature(call)
    found = list(signature.parameters.values())[bound:]
    plain = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else Written(p))
        for p in found
    ]
    return str(inspect.Signature(plain))


class Written:
    """Stands for the default of a parameter in a signature."""

    def __init__(self, parameter):
        self.text = default(parameter.default)

    def __repr__(self):
        return self.text


def members(kind):
    """Public methods with their signatures and properties, those of bases too."""
    for name in sorted(set(dir(kind))):
        if name.startswith("_") and name != "__call__":
            continue
        home = next(k for k in kind.__mro__ if name in vars(k))
        member = vars(home)[name]
        if home in NO_MEMBERS or isinstance(member, type):
            continue
        if isinstance(member, property | functools.cached_property):
            yield name, ""
        elif isinstance(member, staticmethod | classmethod):
            yield name, arguments(getattr(kind, name))
        elif inspect.isfunction(member):
            yield name, arguments(member, bound=True)


def lines():
    """One line for each public name; what a class has from a public class is said there only."""
    found = sorted(public(jaxopt_edu), key=lambda item: (item[0].count("."), item[0]))
    first = {}
    for name, thing in found:
        first.setdefault(id(thing), name)
    for name, thing in found:
        if first[id(thing)] != name:
            yield f"{name} = {first[id(thing)]}"
        elif thing is typing.Any:
            yield f"{name} is any type"
        elif inspect.isclass(thing) and issubclass(thing, BaseException):
            yield f"{name} is a {thing.__base__.__name__}"
        elif inspect.isclass(thing):
            above = [base for base in thing.__mro__[1:] if id(base) in first]
            kinds = f" is a {', '.join(first[id(b)] for b in above)}" * bool(above)
            yield name + arguments(thing) + kinds
            inherited = {m for base in above for m in members(base)}
            for member, signature in members(thing):
                if (member, signature) not in inherited:
                    yield f"{name}.{member}{signature}"
        elif isinstance(thing, types.ModuleType):
            yield f"{name} is a module"
        elif callable(thing):
            yield name + arguments(thing)
        else:
            yield f"{name} is a {type(thing).__name__}"


def name_of(line):
    return line.split("(")[0].split(" ")[0]


def heir(name, lines):
    """The line, of a public base, by which a class still has a member; None where it has not."""
    owner, _, member = name.rpartition(".")
    bases = lines.get(owner, "").partition(" is a ")[2].split(", ")
    return next((lines[f"{b}.{member}"] for b in bases if f"{b}.{member}" in lines), None)


def difference(old, new):
    """What is gone, changed and added from one list of lines to the other; nothing where equal."""
    before, after = ({name_of(line): line for line in some} for some in (old, new))
    missing = [name for name in before if name not in after]
    gone = [f"  {before[name]}" for name in missing if not heir(name, after)]
    moved = [
        f"  {before[name]}\n    now {heir(name, after)}" for name in missing if heir(name, after)
    ]
    changed = [
        f"  {before[name]}\n    now {after[name]}" for name in before
        if name in after and after[name] != before[name]
    ]  # fmt: skip
    added = [f"  {after[name]}" for name in after if name not in before]
    parts = {"gone:": gone, "of a base now:": moved, "changed:": changed, "added:": added}
    return "\n".join("\n".join([head, *body]) for head, body in parts.items() if body)


def test_public_names_are_those_of_the_snapshot():
    told = difference(FILE.read_text().splitlines(), list(lines()))
    assert not told, (
        f"public names are not those of tests/fixtures/public.txt\n{told}\n"
        "What goes or changes warns for one version (jaxopt_edu/values/deprecated.py) and "
        f"stands in CHANGELOG.md.\nWhere the difference is meant: {RENEW}"
    )


def test_a_difference_says_what_is_gone_changed_and_added():
    old = ["jo.a(x)", "jo.b(x, y=1)", "jo.c is a module", "jo.d.e = jo.a"]
    new = ["jo.b(x, y=2)", "jo.c is a module", "jo.d.e = jo.a", "jo.f"]
    told = "gone:\n  jo.a(x)\nchanged:\n  jo.b(x, y=1)\n    now jo.b(x, y=2)\nadded:\n  jo.f"
    assert difference(old, new) == told
    assert difference(old, old) == ""
    old, new = ["jo.A()", "jo.A.f(x)"], ["jo.A() is a jo.B", "jo.B()", "jo.B.f(x)"]
    assert "of a base now:\n  jo.A.f(x)\n    now jo.B.f(x)" in difference(old, new)
    assert "gone" not in difference(old, new) and "gone" in difference(old, new[:2])


def test_a_line_is_the_signature():
    found = {name_of(line): line for line in lines()}
    sgd = "jo.sgd(learning_rate, momentum=None, nesterov=False, accumulator_dtype=None)"
    assert found["jo.sgd"] == sgd and found["jo.optimizers.sgd"] == "jo.optimizers.sgd = jo.sgd"
    assert found["jo.Run.predict"].startswith("jo.Run.predict(")
    assert found["jo.Study.best"] == "jo.Study.best"
    assert found["jo.AdamW"].endswith(" is a jo.Adam, jo.Rule")
    assert "jo.AdamW.init" not in found and "jo.Rule.init" in found
    assert not any(" at 0x" in line or "<" in line for line in found.values())


if __name__ == "__main__":
    if sys.argv[1:] != ["renew"]:
        sys.exit(f"usage: {RENEW}")
    text = "\n".join(lines()) + "\n"
    print(difference(FILE.read_text().splitlines() if FILE.exists() else [], text.splitlines()))
    FILE.write_text(text)
