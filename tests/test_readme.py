"""The README's Python block runs as it stands, its commands are the real ones, and it is short."""

import re
import tomllib
from pathlib import Path

import jaxopt_edu as jo

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_python_block_runs_and_is_short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert block.count("\n") <= 40
    space: dict = {}
    exec(compile(block, "README.md", "exec"), space)
    assert space["run"].evaluate("test")["accuracy"] > 0.9
    assert space["study"].scores()["test_accuracy"] > 0.9
    again, best = space["again"].evaluate("validation"), space["study"].scores()
    assert abs(again["accuracy"] - best["validation_accuracy"]) < 0.02
    assert isinstance(space["optimizers"], jo.Adam) and space["optimizers"].b1.shape == (64,)


def test_it_is_a_front_door():
    assert README.count("\n") <= 150


def test_commands_are_those_of_the_project():
    commands = {"cli": "jaxopt-edu sweep digits", "test": "python -m pytest"}
    for extra, command in (commands | {"docs": "jaxopt-edu learn"}).items():
        line = f".venv/bin/pip install -e '.[{extra}]' && .venv/bin/{command}"
        assert line in README
        assert extra in PROJECT["optional-dependencies"], f"there is no extra {extra!r}"
    assert PROJECT["scripts"] == {"jaxopt-edu": "jaxopt_edu.cli:main"}
    assert ".venv/bin/python -m pytest" in (ROOT / ".ci" / "run").read_text()


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    cited = dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))
    assert cited["cff-version"] == "1.2.0" and "- name: The jaxopt_edu authors" in text
    assert cited["version"] == PROJECT["version"] and cited["license"] == PROJECT["license"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    [day] = re.findall(rf"^## {re.escape(cited['version'])} - (\S+)$", changes, re.MULTILINE)
    assert cited.get("date-released", "unreleased") == day  # a version has a date once it is out
