"""The wheel and the source distribution: what is in them, and that a user's script type-checks."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import jaxopt_edu

ROOT = Path(jaxopt_edu.__file__).parent
SCRIPT = """\
import jax
import jax.numpy as jnp
import jaxopt_edu as jo

optimizer: jo.optimizers.Adam = jo.adam(1e-3, b2=0.99)
digits = jo.data.load("digits", seed=0)
model = jo.models.MLP((64, 32, 10), dropout=0.1)
loss = jo.losses.softmax_cross_entropy_with_integer_labels
experiment = jo.Training(model=model, loss=loss, optimizer=optimizer, data=digits, batch_size=32)
run: jo.Run = jo.fit(experiment, steps=20)
print(run.evaluate("test")["accuracy"], jax.vmap(jo.sgd)(jnp.ones(3)))
"""
WRONG = {
    'jo.adam(1e-3, wrong=1)': 'Unexpected keyword argument "wrong"',
    'jo.fit(experiment, steps="20")': 'incompatible type "str"; expected "int"',
    "jo.fit(experiment)": 'Missing positional argument "steps"',
    'run.evaluate("test").accuracy': 'has no attribute "accuracy"',
    "jo.optimisers": 'has no attribute "optimisers"',
}  # fmt: skip


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "py.typed").read_text() == ""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory of a wheel and a source distribution of this checkout."""
    there = tmp_path_factory.mktemp("dist")
    for target in ("wheel", "sdist"):
        words = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(there)]
        subprocess.run(words, check=True, cwd=ROOT.parent, capture_output=True)
    return there


MADE = {("docs", "reference"), ("docs", "_build")}  # by the site's build; git ignores them


def files_of(tree):
    """The files of a directory of this checkout, without what Python and the site's build leave."""
    found = (path.relative_to(ROOT.parent) for path in (ROOT.parent / tree).rglob("*"))
    return {
        str(path) for path in found
        if (ROOT.parent / path).is_file() and "__pycache__" not in path.parts
        and path.parts[:2] not in MADE and path.suffix != ".mo"
    }  # fmt: skip


def test_ci_tries_the_wheel_away_from_the_checkout():
    assert "\n.ci/wheel .venv/bin/python\n" in (ROOT.parent / ".ci" / "run").read_text()
    script = (ROOT.parent / ".ci" / "wheel").read_text()
    away = script.index('cd "$there"\n')
    for trial in ('install "$wheel"', "trains.py", "block.py", "--pyargs jaxopt_edu"):
        assert script.index(trial) > away, trial


@pytest.mark.slow
def test_wheel_and_source_hold_what_they_should(built):
    [wheel], [source] = built.glob("*.whl"), built.glob("*.tar.gz")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == files_of("jaxopt_edu") and "jaxopt_edu/py.typed" in names
    with tarfile.open(source) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames()}
    for tree in ("jaxopt_edu", "tests", "docs"):
        assert files_of(tree) <= packed
    assert {
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
        "pyproject.toml",
        "benchmarks/step.py",
    } <= packed


@pytest.mark.slow
def test_a_users_script_type_checks_against_the_wheel(built, tmp_path):
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    [there] = (tmp_path / "env" / "lib").glob("python3.*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", there, *built.glob("*.whl")], check=True)
    (there / "ours.pth").write_text(sysconfig.get_path("purelib"))  # jax, numpy

    def mypy(text):
        (tmp_path / "script.py").write_text(text)
        words = [sys.executable, "-m", "mypy", "--python-executable", str(python), "--strict"]
        outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
        done = subprocess.run(
            [*words, "script.py"], cwd=tmp_path, env=outside, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    assert mypy(SCRIPT).startswith("Success"), mypy(SCRIPT)
    told = mypy(SCRIPT + "\n".join(WRONG) + "\n")
    for line, (call, says) in enumerate(WRONG.items(), SCRIPT.count("\n") + 1):
        errors = [m for m in told.splitlines() if m.startswith(f"script.py:{line}: error")]
        assert any(says in m for m in errors), f"{call}: {told}"
