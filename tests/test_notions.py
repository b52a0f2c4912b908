"""The table of docs/notions.md: every function is there, and so is its test."""

import functools
import re
from pathlib import Path

import jaxopt_edu as jo

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
HEAD = "| notion | 中文 | function | oracle | test |"


def rows():
    lines = (DOCS / "notions.md").read_text().split(HEAD)[1].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def words(path):
    """What a test names: in its text, in that of a helper, or as all names of a chapter."""
    text = (ROOT / path).read_text()
    helpers = re.findall(r"^from (\w+) import", text, re.MULTILINE)
    helpers = [ROOT / "tests" / f"{name}.py" for name in helpers]
    chapters = re.findall(r" in (\w+)\.__all__", text)
    names = [name for chapter in chapters for name in getattr(jo, chapter).__all__]
    return " ".join([text, *(h.read_text() for h in helpers if h.is_file()), *names])


def test_every_notion_has_names_functions_and_a_test():
    notions = []
    for notion, chinese, functions, _, test in rows():
        notions.append(notion)
        assert re.search("[\u4e00-\u9fff]", chinese), notion
        names, files = re.findall(r"`([\w.]+)`", functions), re.findall(r"\]\(([^)]+)\)", functions)
        assert names or files, notion
        for name in names:
            thing = functools.reduce(getattr, name.split("."), jo)
            assert callable(thing) or name == "functions", name
        for file in files:
            assert (DOCS / file).is_file(), file
        paths = re.findall(r"\]\(\.\./(tests/test_\w+\.py)\)", test)
        tested = " ".join(map(words, paths))
        for name in (*(name.split(".")[-1] for name in names), *(Path(f).stem for f in files)):
            assert re.search(rf"\b{name}\b", tested, re.IGNORECASE), f"{name} is not in {paths}"
    assert len(notions) == len(set(notions)) >= 50
