"""The table of notions in the README: every function is there, and so is its test."""

import functools
import re
from pathlib import Path

import jaxopt_edu as jo

ROOT = Path(__file__).parent.parent
HEAD = "| notion | 中文 | function | oracle | test |"


def rows():
    lines = (ROOT / "README.md").read_text().split(HEAD)[1].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_notion_has_names_functions_and_a_test():
    notions = []
    for notion, chinese, functions, _, test in rows():
        notions.append(notion)
        assert re.search("[\u4e00-\u9fff]", chinese) or chinese.isascii(), notion
        names, files = re.findall(r"`([\w.]+)`", functions), re.findall(r"\]\(([^)]+)\)", functions)
        assert names or files, notion
        for name in names:
            thing = functools.reduce(getattr, name.split("."), jo)
            assert callable(thing) or name == "functions", name
        [path] = re.findall(r"\]\((tests/test_\w+\.py)\)", test)
        for file in (path, *files):
            assert (ROOT / file).is_file(), file
    assert len(notions) == len(set(notions)) >= 50
