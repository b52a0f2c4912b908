"""Terms of docs/glossary.md are those of the code: each is there, and no other word for it."""

import ast
import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest

import jaxopt_edu

ROOT = Path(jaxopt_edu.__file__).parent
TEXT = (ROOT.parent / "docs" / "glossary.md").read_text()
TERMS, GONE = TEXT.split("## Words that name nothing any more")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([\w.]+)` \|$", TERMS, re.MULTILINE)
KINDS = ast.ClassDef | ast.FunctionDef


def found(place):
    """What stands at a place of the package: a module, or a class or function of one."""
    parts = place.split(".")
    for k in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(["jaxopt_edu", *parts[:k]]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[k:], module)
    raise AssertionError(f"there is no jaxopt_edu.{place}")


def test_there_are_terms():
    assert len(ROWS) > 35
    assert len(ROWS) == sum(line.count("`") >= 2 for line in TERMS.splitlines() if line[:2] == "| ")


@pytest.mark.parametrize("term, said, place", ROWS)
def test_a_term_is_in_the_code(term, said, place):
    thing = found(place)
    assert inspect.ismodule(thing) or thing.__doc__, f"{term}: {place} says nothing of itself"
    if not inspect.ismodule(thing):
        assert thing.__module__.startswith(f"jaxopt_edu.{place.rpartition('.')[0]}"), term


def test_words_that_are_gone_name_nothing():
    gone = set(re.findall(r"`(\w+)`", GONE))
    assert "Course" in gone
    for path in ROOT.rglob("*.py"):
        assert path.stem not in gone, path
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, KINDS):
                where = path.relative_to(ROOT)
                assert node.name not in gone, f"{where} has {node.name}: see docs/glossary.md"
