"""Bad options end with exit code 2, one line that names them, and nothing written."""

import json
import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu import launch
from jaxopt_edu.cli import commands, program
from jaxopt_edu.cli.directories import new_directory
from jaxopt_edu.cli.options import line_of_json
from jaxopt_edu.cli.program import main
from jaxopt_edu.engine.peers import PeerLost
from jaxopt_edu.storage.files import strict

TRAINING = [
    "--hidden 0", "--hidden -3", "--hidden x", "--hidden 8,0", "--hidden 1.5", "--optimizer ,",
    "--optimizer adm", "--optimizer adam,adam", "--steps 0", "--steps -1", "--steps x",
    "--batch-size -1", "--batch-size 99999", "--batch-size x", "--eval-every 0", "--seed x",
    "--data-path /missing", "--model nonsense", 
    "--model soft_tree --depth 0", "--model soft_tree --depth 99",
    "--model oblivious_trees --depth -1",
    "--space=", "--space x", "--space x=", "--space =1", "--space learning_rate=", "--space b1=(",
    "--space b1=uniform(", "--space b1=uniform(1)", "--space b1=uniform(0,2)", "--space b1=nan",
    "--space learning_rate='a'", "--space batch_size=0", "--space batch_size=1.5",
    "--space loss='nonsense'", "--space data=3", "--space model=3", "--space b1=choice()",
    "--nonsense",
]  # fmt: skip
CASES = [
    *(f"fit iris {bad}" for bad in [*TRAINING, "--tol nan", "--tol -1", "--patience 0"]),
    *(f"sweep iris --trials 2 {bad}" for bad in [
        *TRAINING, "--trials 0", "--trials -1", "--trials x", "--tile 0", "--folds 1",
        "--folds 999",
        "--seeds 0", "--halving 1", "--halving 2 --first 0", "--first 5", "--hyperband 1",
        "--median-stopping --first 0", "--population --first 0", "--metric nonsense", "--mode up",
        "--sampler nonsense", "--sampler optuna:nonsense", "--sampler optuna:", "--out file",
        "--out file/inside", "--store file", "--store full", "--out full", "--out full/a --store b",
        "--halving 2 --hyperband 2",
    ]),
    "fit wine --model cnn",
    "sweep wine --model transformer",
    "fit nonsense", "sweep nonsense", "fit", "sweep", "", "nonsense", "fit mnist", "sweep mnist",
    "report missing", "report file", "report full", "report", "compare missing full",
    "compare full full", "compare full", "race nonsense", "race booth --optimizers ,",
    "race booth --optimizers adm", "race booth --optimizers adam,adam", "race booth --steps 0",
    "race booth --out full", "race booth --out x.nonsense", "race booth --out file/x.png",
    "race booth --rate 0", "race booth --rate x", "race booth --rate sgd=", "race booth --rate nan",
    "race booth --rate sdg=0.1", "race booth --rate sgd=0.1,sgd=0.2", "race booth --rate sgd=-1",
    "race booth --rate=-1",
    "list", "list nonsense",
]  # fmt: skip


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "trials.csv").write_text("mine")
    return tmp_path


def files(path):
    return sorted((str(p), p.read_text() if p.is_file() else "") for p in path.rglob("*"))


def run(arguments):
    try:
        return main(arguments)
    except SystemExit as stop:  # of argparse
        return stop.code


@pytest.mark.parametrize("case", CASES)
def test_a_bad_option_is_one_line_and_leaves_nothing(case, there, capsys):
    before = files(there)
    for more in ([], ["--json"]):
        assert run([*case.split(), *more]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("jaxopt-edu: ") and err.count("\n") == 1, err
        assert files(there) == before


# ------------------------------------------------------------------------------ strict JSON


def read(text):
    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_json_whatever_happened(there, capsys):
    wild = ["fit", "iris", "--model", "linear", "--optimizer", "sgd", "--steps", "20", "--json"]
    assert main([*wild, "--space", "learning_rate=1e38"]) == 1
    answer = read(capsys.readouterr().out)
    assert answer["status"] == "diverged" and answer["scores"]["validation"]["loss"] is None
    few = ["sweep", "iris", "--model", "linear", "--optimizer", "sgd", "--steps", "20", "--json"]
    few += ["--trials", "3", "--tile", "2", "--space", "learning_rate=choice(1e38,0.1)"]
    assert main([*few, "--out", "mine"]) == 0
    read(capsys.readouterr().out)
    read((there / "mine" / "study.json").read_text())
    assert main(["compare", "mine", "mine", "--json"]) in (0, 2)
    assert main(["report", "mine", "--json"]) == 0
    assert main(["list", "optimizers", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        read(line)
    hard = ["race", "rosenbrock", "--optimizers", "sgd", "--steps", "3", "--json", "--out", "x.svg"]
    assert main(hard) == 0
    assert read(capsys.readouterr().out)["picture"] == "x.svg"


NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.floats(width=32).map(np.float32), st.integers(-9, 9).map(np.int64),
    st.lists(st.floats(), max_size=3).map(np.array), st.just(jo.adam),
)  # fmt: skip
ANSWERS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=8,
)


@given(ANSWERS)
def test_every_answer_is_one_line_of_strict_json(answer):
    line = line_of_json(answer)
    assert "\n" not in line
    assert read(line) == strict(answer)


def test_what_replaces_another_is_gone_again_after_an_error(there, capsys):
    few = ["sweep", "iris", "--model", "linear", "--steps", "10", "--trials", "2", "--out", "full"]
    before = files(there)
    assert main([*few, "--overwrite", "--metric", "nonsense"]) == 2
    assert files(there) == before
    assert "unknown metric 'nonsense'" in capsys.readouterr().err


def test_internal_errors_are_not_hidden(there, monkeypatch):
    def broken(options):
        raise KeyError("a bug")

    monkeypatch.setattr(commands, "run_list", broken)
    with pytest.raises(KeyError):
        main(["list", "models"])


@pytest.mark.parametrize("command", ["list functions", "list functions --json"])
def test_a_reader_that_goes_away_is_no_error(command, monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert main(command.split()) == 0
    assert capsys.readouterr().err == ""


def raising(error):
    def check(options):
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyboardInterrupt(), 130, "jaxopt-edu: interrupted"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED:\nall of it"), 2, "EXHAUSTED: all of it"),
        (MemoryError(), 2, "jaxopt-edu: MemoryError"),
        (OSError(28, "No space left on device"), 2, "jaxopt-edu: [Errno 28] No space left"),
        (ValueError("steps = 0:\n  wanted more"), 2, "jaxopt-edu: steps = 0: wanted more"),
    ],
)
def test_what_ends_a_command_is_one_line_and_a_status(error, status, told, monkeypatch, capsys):
    monkeypatch.setattr(program, "check_options", raising(error))
    assert main(["list", "datasets"]) == status
    out, line = capsys.readouterr()
    assert out == "" and told in line and line.count("\n") == 1


def test_an_error_of_a_device_that_is_no_lack_of_memory_is_not_hidden(monkeypatch):
    error = jax.errors.JaxRuntimeError("INTERNAL: a bug")
    monkeypatch.setattr(program, "check_options", raising(error))
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: a bug"):
        main(["list", "datasets"])


def test_a_new_directory_is_new_even_where_another_process_is_quicker(tmp_path, monkeypatch):
    (tmp_path / "sweep-4").mkdir()
    (tmp_path / "sweep-x").mkdir()
    assert new_directory(tmp_path, "sweep") == tmp_path / "sweep-5"
    mkdir = Path.mkdir

    def slowly(path, *args, **more):
        if path.name in ("sweep-6", "sweep-7"):
            mkdir(path)
        return mkdir(path, *args, **more)

    monkeypatch.setattr(Path, "mkdir", slowly)
    assert new_directory(tmp_path, "sweep") == tmp_path / "sweep-8"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("b1=uniform(low=0.1, high=0.2)", "uniform takes no keywords here"),
        ("b1=unifrom(0.1, 0.2)", "unknown 'unifrom'; did you mean 'uniform'"),
        ("b1=x.y(1)", "unknown ''"),
        ("b1=1 + x", "wanted numbers, strings or tuples"),
    ],
)
def test_a_space_that_cannot_be_read_is_said(text, why, capsys):
    assert main(["fit", "iris", "--space", text]) == 2
    line = capsys.readouterr().err
    assert "--space" in line and why in line


class Ended(BaseException):
    """In the place of the end of the process."""


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PeerLost("process 1 is gone"), launch.LOST, "jaxopt_edu: process 1 is gone\n"),
        (SystemExit(3), 3, ""),
        (SystemExit("words"), 1, "SystemExit: words"),
        (ValueError("of the script"), 1, "ValueError: of the script"),
        (KeyboardInterrupt(), 1, "KeyboardInterrupt"),
    ],
)
def test_a_process_of_a_job_that_fails_ends_at_once(error, code, told, monkeypatch, capsys):
    ended = []

    def end(code):
        ended.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended):
        launch._fail(error)
    line = capsys.readouterr().err
    assert ended == [code] and told in line and (told or not line)


@pytest.mark.parametrize("codes", [(launch.LOST, -9), (-9, launch.LOST), (0, launch.LOST, -9)])
def test_a_job_names_the_process_that_ended_before_those_that_lost_it(codes, capsys):
    """Also where both ended between two looks."""

    class Ended:
        def __init__(self, code):
            self.returncode = code

        def poll(self):
            return self.returncode

    assert launch._wait(list(map(Ended, codes)), grace=1, deadline=float("inf")) == 128 + 9
    said = capsys.readouterr().err
    assert f"launch: process {codes.index(-9)} was killed by SIGKILL" in said
    assert "ended with code" not in said
