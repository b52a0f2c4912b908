"""Types of public functions: each is written down, as `mypy --strict` asks, and few are Any."""

import ast
import functools
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from test_public import public

import jaxopt_edu

ROOT = Path(jaxopt_edu.__file__).parent
MOST_ANY = 195  # in the signatures of public functions; this number may only fall
MOST_UNTYPED = 81  # files in which mypy does not ask for all types; this number may only fall
CODES = ("no-untyped-def", "type-arg")  # what mypy --strict says of a signature


@functools.cache
def signatures():
    """(name, file, definition) of every public function.

    Recipes such as `adam` are classes under another name, whose fields mypy reads.
    """
    found, trees = {}, {}
    for name, thing in public(jaxopt_edu):
        function = inspect.unwrap(thing) if callable(thing) else None
        code = getattr(function, "__code__", None)
        if code is None or code.co_name != function.__name__ or code in found:
            continue
        path = Path(code.co_filename)
        tree = trees.setdefault(path, ast.parse(path.read_text()))
        [node] = [
            n for n in ast.walk(tree)
            if isinstance(n, ast.FunctionDef) and n.name == function.__name__
            and code.co_firstlineno in (n.lineno, *(d.lineno for d in n.decorator_list))
        ]  # fmt: skip
        found[code] = (name, path, node)
    return list(found.values())


def annotations(node):
    """What a definition says of its arguments (None where it says nothing), and of its result."""
    every = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
    return [*(a.annotation for a in every), node.returns]


def how_many_any():
    return sum(
        isinstance(x, ast.Name) and x.id == "Any"
        for _, _, node in signatures() for note in annotations(node) if note
        for x in ast.walk(note)
    )  # fmt: skip


def test_public_functions_say_the_types_of_all_arguments():
    assert len(signatures()) > 100
    for name, _, node in signatures():
        assert None not in annotations(node), f"{name}: an argument or the result has no type"


def test_the_number_of_any_only_falls():
    found = how_many_any()
    assert found <= MOST_ANY, f"{found} Any in signatures of public functions, before {MOST_ANY}"
    assert found == MOST_ANY, f"fewer than before, good: write MOST_ANY = {found}"


def test_the_files_that_lack_types_only_become_fewer():
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["mypy"]
    lists = [o["module"] for o in settings["overrides"] if o.get("disallow_untyped_defs") is False]
    [untyped] = lists
    assert settings["disallow_untyped_defs"] and not any("*" in name for name in untyped)
    assert len(untyped) <= MOST_UNTYPED
    for name in untyped:
        path = ROOT.parent / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or path.is_dir(), f"{name} is no more: take it out"


def faults(said):
    """What mypy says of the signatures of public functions."""
    lines = {}
    for name, path, node in signatures():
        for line in range(node.lineno, node.body[0].lineno):
            lines[path.relative_to(ROOT.parent).as_posix(), line] = name
    found = re.findall(r"^(\S+):(\d+): error: (.*?)  \[([\w-]+)\]$", said, re.MULTILINE)
    return [
        f"{lines[file, int(line)]}: {text}"
        for file, line, text, code in found
        if code in CODES and (file, int(line)) in lines
    ]


def test_faults_of_signatures_are_found():
    name, path, node = signatures()[0]
    where = f"{path.relative_to(ROOT.parent).as_posix()}:{node.lineno}"
    said = f'{where}: error: Missing type arguments for generic type "Callable"  [type-arg]\n'
    assert faults(said) == [f'{name}: Missing type arguments for generic type "Callable"']
    assert faults(said.replace("type-arg", "no-any-return")) == []


@pytest.mark.slow
def test_signatures_of_public_functions_are_strict():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict"], cwd=ROOT.parent, capture_output=True, text=True
    )
    assert "Found" in done.stdout or "Success" in done.stdout, done.stdout + done.stderr
    assert faults(done.stdout) == []
