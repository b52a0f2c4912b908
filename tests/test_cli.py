"""The command line as a user meets it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.program import main
from jaxopt_edu.cli.space_syntax import parse_setting

FILES = [
    ".lock", "best.json", "curves.png", "landscape.png", "report.html", "results.npz", "study.json",
    "sweep.json", "trials.csv",
]  # fmt: skip
SMALL = ["--trials", "6", "--steps", "20", "--tile", "4", "--hidden", "8"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_sweep_writes_a_directory_and_a_leaderboard(tmp_path, capsys):
    assert main(["sweep", "wine", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "winner: trial" in out and "test part: loss" in out and "runs/wine-1/" in out
    assert sorted(p.name for p in (tmp_path / "runs" / "wine-1").iterdir()) == FILES
    rows = list(csv.DictReader((tmp_path / "runs/wine-1/trials.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert {"optimizer", "optimizer.learning_rate", "regularizer.weight", "model.dropout"} <= set(
        rows[0]
    )
    best = jo.load_experiment(tmp_path / "runs/wine-1/best.json")
    assert best.data == jo.data.load("wine", seed=0)


def test_sweep_prints_one_line_of_json(capsys):
    space = ["--space", "learning_rate=log_uniform(1e-3,1e-2)", "--space", "activation='tanh'"]
    assert main(["sweep", "wine", *SMALL, "--optimizer", "adam", *space, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert {
        "trials",
        "diverged",
        "best",
        "seconds",
        "compilations",
        "model_steps_per_second",
        "devices",
    } <= set(answer)
    assert answer["trials"] == 6
    assert 1e-3 <= answer["best"]["hyperparameters"]["optimizer.learning_rate"] <= 1e-2
    assert {"validation_loss", "test_accuracy"} <= set(answer["best"]["scores"])


def test_results_are_kept_unless_told(tmp_path, capsys):
    few = ["--trials", "3", "--steps", "20", "--model", "linear", "--optimizer", "sgd"]
    arguments = ["sweep", "iris", *few, "--out", "mine"]
    assert main(arguments) == 0
    before = (tmp_path / "mine/trials.csv").read_text()
    assert main([*arguments, "--seed", "1"]) == 2
    assert "holds something already; --overwrite" in capsys.readouterr().err
    assert (tmp_path / "mine/trials.csv").read_text() == before
    assert main([*arguments, "--seed", "1", "--overwrite"]) == 0
    assert (tmp_path / "mine/trials.csv").read_text() != before


def test_a_store_is_resumed_shown_and_guarded(tmp_path, capsys):
    more = ["--optimizer", "adam", "--halving", "2", "--folds", "2"]
    arguments = ["sweep", "wine", *SMALL, "--store", "mine", *more]
    assert main(arguments) == 0
    first = (tmp_path / "mine/trials.csv").read_bytes()
    out = capsys.readouterr().out
    assert "stopped" in out and "executed lane-steps" in out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compilations"]["engine"] == 0
    assert (tmp_path / "mine/trials.csv").read_bytes() == first
    assert main([*arguments, "--seeds", "2"]) == 2
    assert "seeds was 1, now 2" in capsys.readouterr().err


def test_report_and_compare_read_stores(tmp_path, capsys):
    for name, more in (("a", ["--population"]), ("b", ["--sampler", "sobol"])):
        assert main(["sweep", "wine", *SMALL, "--optimizer", "adam", "--out", name, *more]) == 0
    (tmp_path / "a/report.html").unlink()
    capsys.readouterr()
    assert main(["report", "a"]) == 0
    assert "winner: trial" in capsys.readouterr().out
    assert (tmp_path / "a/report.html").exists()
    assert main(["compare", "a", "b"]) == 0
    out = capsys.readouterr().out
    assert "validation_loss" in out and "lane-steps" in out
    assert main(["compare", "a", "b", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"a", "b"}
    assert main(["report", "."]) == 2
    assert "holds no sweep" in capsys.readouterr().err


def test_fit_trains_one(capsys):
    assert main(["fit", "diabetes", "--model", "linear", "--steps", "50"]) == 0
    out = capsys.readouterr().out
    assert "validation" in out and "r2_score" in out and "finished after 50 steps" in out
    assert main(["fit", "wine", "--steps", "10", "--space", "b1=0.8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hyperparameters"]["optimizer.b1"] == 0.8


def test_race_draws_and_tells(tmp_path, capsys):
    assert main(["race", "rosenbrock", "--optimizers", "sgd,adam", "--steps", "50"]) == 0
    out = capsys.readouterr().out
    assert "adam" in out and "race-rosenbrock.png" in out
    assert (tmp_path / "runs/race-rosenbrock.png").read_bytes()[:4] == b"\x89PNG"
    few = ["race", "booth", "--optimizers", "sgd,adam", "--steps", "5", "--json"]
    assert main([*few, "--rate", "sgd=0.01", "--out", "mine/race.gif"]) == 0
    rates = {r["name"]: r["learning_rate"] for r in json.loads(capsys.readouterr().out)["racers"]}
    assert rates["sgd"] == 0.01 != rates["adam"]
    assert (tmp_path / "mine/race.gif").read_bytes()[:6] == b"GIF89a"
    assert main([*few, "--rate", "0.02"]) == 0
    told = json.loads(capsys.readouterr().out)["racers"]
    assert {r["learning_rate"] for r in told} == {0.02}


@pytest.mark.parametrize(
    ("what", "member"),
    [
        ("models", "cnn"), ("optimizers", "adam"),
        ("schedules", "cosine_decay_schedule"), ("losses", "huber_loss"),
        ("datasets", "digits"), ("functions", "rosenbrock"),
    ],
)  # fmt: skip
def test_list_names_things(what, member, capsys):
    assert main(["list", what]) == 0
    assert member in capsys.readouterr().out.split()


def test_what_is_listed_as_a_loss_is_one(capsys):
    """What makes losses of others, or one number of several, is none."""
    assert main(["list", "losses"]) == 0
    names = capsys.readouterr().out.split()
    assert len(names) > 10
    for name in names:
        small = {"model": jo.models.Linear(1), "optimizer": "sgd", "data": jo.data.load("linear")}
        assert callable(jo.Training(loss=name, **small).loss)
    assert not {"class_weighted", "smooth_labels", "weighted_mean", "with_numbers"} & {*names}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "digit"], "digits"),
        (["sweep", "wine", "--optimizer", "adm"], "unknown optimizer 'adm'; did you mean 'adam'"),
        (["sweep", "wine", "--space", "learning_rat=0.1"], "did you mean '.*learning_rate'"),
        (["sweep", "wine", "--space", "learning_rate"], "wanted NAME=VALUE"),
        (
            ["sweep", "wine", "--space", "b1=log_unifrm(1,2)"],
            "did you mean 'log_uniform'",
        ),
        (["sweep", "wine", "--space", "learning_rate=log_uniform(0,2)"], "low = 0 must be above 0"),
        (["sweep", "wine", "--space", "b1=1.5"], r"b1 = 1.5 is outside \[0, 1\)"),
        (["sweep", "wine", "--space", "b1=__import__('os')"], "unknown '__import__'"),
        (["sweep", "wine", "--trials", "0"], "trials = 0"),
        (["sweep", "wine", "--batch-size", "5000"], "batch_size = 5000"),
        (["sweep", "wine", "--sampler", "sobl"], "did you mean 'sobol'"),
        (["sweep", "mnist", "--data-path", "/nowhere"], "/nowhere"),
        (["sweep", "wine", "--hidden", "a"], "--hidden a"),
        (["fit", "wine", "--optimizer", "adam,sgd"], "fit runs one"),
        (["fit", "wine", "--space", "learning_rate=uniform(0,1)"], "is not a number"),
        (["sweep", "wine", "--halving", "1"], "halving: eta = 1"),
        (["sweep", "wine", "--first", "10"], "--first 10: there are no rungs"),
        (["sweep", "wine", "--folds", "1"], "folds = 1"),
        (["race", "rosenbrok"], "rosenbrock"),
        (["race", "rosenbrock", "--optimizers", "adm"], "adam"),
    ],
)
def test_bad_input_exits_with_2_and_says_what(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxopt-edu: ") and re.search(message, error), error


def test_settings_are_literals_and_distributions():
    assert parse_setting("a.b=log_uniform(1e-4, 1e-1)") == ("a.b", jo.log_uniform(1e-4, 1e-1))
    assert parse_setting("sizes=one_of((4,3),(4,5,3))") == ("sizes", jo.one_of((4, 3), (4, 5, 3)))
    assert parse_setting("x = -1.5") == ("x", -1.5)
    assert parse_setting("momentum=None") == ("momentum", None)


SWEEP = """
import signal, sys
from jaxopt_edu.cli.program import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_writes_what_there_is(tmp_path):
    arguments = "sweep wine --steps 40000000 --trials 4 --model linear --optimizer sgd --out out"
    command = [sys.executable, "-c", SWEEP, *arguments.split(), "--eval-every", "2000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path) as child:
        try:
            seen = b""
            while b"best loss" not in seen and child.poll() is None:
                seen += os.read(child.stderr.fileno(), 1000)
            child.send_signal(signal.SIGINT)
            seen += child.communicate(timeout=60)[1]
        finally:
            child.kill()
    assert child.returncode == 130, seen
    assert b"interrupted: --store out goes on" in seen
    assert set(FILES) <= {p.name for p in (tmp_path / "out").iterdir()}
    rows = list(csv.DictReader((tmp_path / "out/trials.csv").read_text().splitlines()))
    assert {row["status"] for row in rows} <= {"interrupted", "diverged"}
    assert any(float(row["validation_loss"] or "nan") > 0 for row in rows)


def test_overwriting_spares_what_is_not_ours(tmp_path, capsys):
    Path("old").mkdir()
    Path("old/thesis.tex").write_text("mine")
    for words in (["sweep", "iris", *SMALL, "--out", "old"], ["sweep", "iris", "--store", "old"],
                  ["fit", "iris", "--out", "old"]):  # fmt: skip
        assert main([*words, "--overwrite"]) == 2
        assert "old holds 'thesis.tex', which is none of our files" in capsys.readouterr().err
    assert [p.name for p in Path("old").iterdir()] == ["thesis.tex"]
