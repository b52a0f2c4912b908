"""The experiments of docs/experiments.md run as they stand, and learn."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy

TEXT = (Path(__file__).parent.parent / "docs" / "experiments.md").read_text()


def lqr():
    """The gains that are best for the linear pendulum on an endless run."""
    a, b = np.array([[1 + 0.05**2, 0.05], [0.05, 1]]), np.array([[0.05**2], [0.05]])
    p = scipy.linalg.solve_discrete_are(a, b, np.diag([1.0, 0.0]), np.array([[0.1]]))
    return np.linalg.solve(0.1 + b.T @ p @ b, b.T @ p @ a)[0]


BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TRAINED = next(block for block in BLOCKS if "accuracies" in block)  # models of four frameworks


def ran(blocks):
    """The names that they define."""
    space: dict = {}
    for block in blocks:
        exec(compile(block, "experiments.md", "exec"), space)
    return space


@pytest.mark.slow
def test_models_of_other_frameworks_are_trained_and_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    accuracies = ran([*BLOCKS[: BLOCKS.index(TRAINED)], TRAINED])["accuracies"]
    assert len(accuracies) == 4 and min(accuracies.values()) > 0.8


@pytest.mark.slow
def test_blocks_run_and_learn():
    space = ran(block for block in BLOCKS if block is not TRAINED)
    for name in ("linen", "nnx", "equinox", "haiku"):
        assert space["models"][name].stateful, name
    assert space["own_study"].scores()["test_accuracy"] > 0.9
    assert space["optax_study"].scores()["test_loss"] < 0.11  # the noise of the data: 0.1
    balance, best = space["balance"], space["control_study"].scores()["validation_loss"]
    wanted = float(balance.cost(lqr(), np.array([0.5, 0.0])))
    assert best < 1.03 * wanted
    assert space["slope"].optimizer.learning_rate < 0
    assert space["tuning"].best_score < 0.06 < 0.08 < space["tuning"].scores[0].min()
