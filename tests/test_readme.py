"""The README's Python block runs as it stands, and its commands are the real ones."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them writes a store
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    space: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), space)
    assert space["run"].evaluate("test")["accuracy"] > 0.9
    assert space["study"].scores()["test_accuracy"] > 0.9
    again, best = space["again"].evaluate("validation"), space["study"].scores()
    assert abs(again["accuracy"] - best["validation_accuracy"]) < 0.02


def test_commands_are_those_of_the_project():
    for extra, command in (("cli", "jaxopt-edu sweep digits"), ("test", "python -m pytest")):
        line = f".venv/bin/pip install -e '.[{extra}]' && .venv/bin/{command}"
        assert line in README
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"jaxopt-edu": "jaxopt_edu.cli:main"}
    assert ".venv/bin/python -m pytest" in (ROOT / ".ci" / "run").read_text()


def test_pictures_and_links_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
