"""The programs of docs/programs run, and show what they say."""

import runpy
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent.parent / "docs" / "programs"


def run(script, *arguments):
    """What the main function of a script gives, and it is called in this process."""
    return runpy.run_path(str(PROGRAMS / f"{script}.py"))["main"](*arguments)


def test_the_classic_regression_finds_no_slope_and_ours_does(capsys):
    slopes = run("classic_linear", 1000)
    assert abs(slopes["wrong"]) < 0.01
    assert slopes["right"] == pytest.approx(slopes["exact"], abs=1e-3)
    assert slopes["ours"] == pytest.approx(slopes["exact"], abs=1e-3)
    assert "predictions have shape (1000, 1), targets have shape (1000,)" in capsys.readouterr().out


def test_a_penalty_that_comes_too_late_does_nothing(capsys):
    told = run("classic_mlp")
    without, late, with_l2 = told.values()
    assert late == without
    assert with_l2["penalty of the weights"] < 0.8 * without["penalty of the weights"]
    assert min(row["test accuracy"] for row in told.values()) > 0.9
    assert "L2 added after training" in capsys.readouterr().out


@pytest.mark.slow
def test_privacy_costs_accuracy(capsys):
    [row] = run("private_digits", [3.0], 4, 1)
    epsilon, by_pld, noise, *_ = (float(x) for x in row.strip("| ").split(" | ")[:6])
    assert by_pld < epsilon == 3.0 and noise > 1
    assert row in capsys.readouterr().out
