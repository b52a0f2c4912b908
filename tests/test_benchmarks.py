"""The benchmarks run, name what is absent, and write what they print."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from children import ROOT, TOLD

BENCHMARKS = ROOT / "benchmarks"
JAX_ARMS = {
    "step": {"ours", "ours-closed", "ours-crossed", "optax"},
    "fit": {"ours", "python-loop", "scan"},
    "sweep": {"ours", "ours-one", "ours-fit", "vmap", "scan"},
    "fractal": {"ours", "vmap"},
    "federated": {"ours", "loop"},
}


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", BENCHMARKS / f"{script}.py", *arguments],
        env=os.environ | TOLD,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", JAX_ARMS)
def test_quick(script, tmp_path):
    arms = ",".join(sorted(JAX_ARMS[script] | {"torch"}))  # torch alone of those that may be absent
    done = run(script, "--quick", "--out", tmp_path, "--arms", arms)
    assert done.returncode == 0, done.stderr
    [report], [record] = tmp_path.glob("*.md"), tmp_path.glob("*.json")
    assert report.stem == record.stem and report.stem.endswith(f"-{script}-quick")
    assert report.read_text() in done.stdout
    assert len(list(tmp_path.glob("*.png"))) == (script == "fractal")
    found = json.loads(record.read_text())
    assert found["question"].endswith("?") and f"# {found['question']}\n" in done.stdout
    assert {"date", "cpu", "cores", "load average at start", "versions"} <= set(found["machine"])
    parts = found["results"].get("workloads", [found["results"]])
    rows = [row for part in parts for row in part["rows"]]
    absent = set() if importlib.util.find_spec("torch") else {"torch"}
    assert {row["arm"] for row in rows} == (JAX_ARMS[script] | {"torch"}) - absent
    assert all(len(row["samples"]) == 3 and min(row["samples"]) > 0 for row in rows)
    assert set(found["skipped"]) == absent
    assert all(f"{arm}: skipped: torch is not installed" in done.stdout for arm in absent)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["halving", "overhead", "diverge", "selection", "many"])
def test_quick_of_our_own(script, tmp_path):
    done = run(script, "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    [report], [record] = tmp_path.glob("*.md"), tmp_path.glob("*.json")
    assert report.read_text() in done.stdout
    assert json.loads(record.read_text())["results"]["rows"]


def test_counts_the_products_of_a_step(monkeypatch):
    """Forward 2 b sum(m n), as much for the weights' gradients, and the inputs' but the first."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from _mlp import mnist_shaped, product_flops

    layers = [784 * 128, 128 * 128, 128 * 10]
    assert product_flops(mnist_shaped(2, 320)) == 2 * 32 * (2 * sum(layers) + sum(layers[1:]))


def test_an_unknown_arm_is_named():
    done = run("step", "--arms", "ours,optix")
    assert done.returncode == 2
    assert (
        "unknown arm 'optix': there are ours, ours-closed, ours-crossed, optax, torch"
        in done.stderr
    )


@pytest.mark.slow
def test_a_checkout_beside_itself(tmp_path):
    done = run("versions", "--quick", "--out", tmp_path, "--arms", "fit-short")
    assert done.returncode == 0, done.stderr
    [record] = tmp_path.glob("*.json")
    [row] = json.loads(record.read_text())["results"]["rows"]
    assert row["arm"] == "fit-short" and len(row["this"]) == len(row["other"]) == 3
    assert min(row["this"] + row["other"]) > 0 and row["ratio"] > 0


@pytest.mark.slow
def test_the_wait_for_a_first_result(tmp_path):
    done = run("first", "--quick", "--out", tmp_path, "--arms", "fit", "--repeats", "1")
    assert done.returncode == 0, done.stderr
    [record] = tmp_path.glob("*.json")
    rows = json.loads(record.read_text())["results"]["rows"]
    assert [(row["arm"], row["cache"]) for row in rows] == [("fit", "empty"), ("fit", "full")]
    for row in rows:
        [this], [other] = row["samples"]["this"], row["samples"]["other"]
        assert (
            {"import jax", "trace", "lower", "compile advance_lanes"} <= this.keys() == other.keys()
        )
        assert 0 < this["call"] < this["process"] and row["ratio of call"] > 0
