"""Numbers of trainings of every kind, kept from one version to the next, in float64.

    python tests/recorded.py record [--force] [CASE ...]    writes fixtures/numbers/CASE.npz
    python tests/recorded.py check [CASE ...]                says which case differs, and where

A case is a call of the public API that returns what it found; `arrays` says what of it is kept.
The files were written at commit e023402, before the step and the engine were written anew; since
then one was recorded again: fit_in_parts_with_dropout, as part j of a batch is the rows j, j + k,
... now (on a mesh dropout in parts was not that of one device). Times are not kept.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

import jax
import numpy as np
import recorded_fits
import recorded_sweeps

import jaxopt_edu as jo

DIRECTORY = Path(__file__).parent / "fixtures" / "numbers"
RTOL, ATOL = 1e-12, 1e-13
CASES = {
    name: part
    for module in (recorded_fits, recorded_sweeps)
    for name, part in vars(module).items()
    if getattr(part, "recorded", False)
}


def arrays(found, name=""):
    """All that a case found, as arrays by name: of runs, studies, dicts of them, and trees."""
    if isinstance(found, jo.Run):
        kept = ("params", "history", "train_history", "scores", "steps", "status", "reason")
        found = {part: getattr(found, part) for part in kept}
    elif isinstance(found, jo.Study):
        found = parts(found)
    if isinstance(found, dict):
        inner = [arrays(part, f"{name}/{key}" if name else str(key)) for key, part in found.items()]
        return {key: x for part in inner for key, x in part.items()}
    leaves = jax.tree_util.tree_leaves_with_path(found)
    return {name + jax.tree_util.keystr(path): plain(leaf) for path, leaf in leaves}


def parts(study):
    """What a study holds, apart from times."""
    kept = ("columns", "curves", "evaluations", "order", "rungs", "lanes", "finals", "tiles")
    repeats = [(seed, -1 if fold is None else fold) for seed, fold in study.repeats]
    moves = {
        str(i): {"step": step, "who": (copy.trial, copy.parent)} | {"numbers": dict(copy.numbers)}
        for i, (step, copy) in enumerate(study.moves)
    }
    found = {part: getattr(study, part) for part in kept}
    return found | {"repeats": np.asarray(repeats), "moves": moves, "ranks": study.ranks}


def plain(x):
    """An array that npz holds without pickling."""
    x = np.asarray(x)
    return x.astype(str) if x.dtype == object else x


def run(name):
    """What a case finds today."""
    with jax.enable_x64(True):
        return arrays(CASES[name]())


def differences(name, found, atol=ATOL):
    """Where results are not those recorded: a line for each array."""
    with np.load(DIRECTORY / f"{name}.npz") as file:
        recorded = dict(file)
    told = [f"{key}: recorded, but not found" for key in recorded.keys() - found.keys()]
    told += [f"{key}: found, but not recorded" for key in found.keys() - recorded.keys()]
    for key in sorted(recorded.keys() & found.keys()):
        what = difference(recorded[key], found[key], atol)
        told += [f"{key}: {what}"] if what else []
    return told


def difference(old, new, atol=ATOL):
    """What distinguishes two arrays beyond rounding, in words; nothing where nothing does."""
    if old.shape != new.shape or old.dtype.kind != new.dtype.kind:
        return f"{old.dtype}{old.shape} was recorded, {new.dtype}{new.shape} found"
    if old.dtype.kind != "f":
        return "" if np.array_equal(old, new) else f"{old.tolist()} recorded, {new.tolist()} found"
    known = np.isfinite(old)
    if not np.array_equal(old[~known], new[~known], equal_nan=True):
        return f"{old.tolist()} recorded, {new.tolist()} found"
    largest = np.max(np.abs(old[known]), initial=0)
    away = np.max(np.abs(new[known] - old[known]), initial=0)  # NaN where new is not finite
    return "" if away <= RTOL * largest + atol else f"{away:.2g} away, the largest is {largest:.2g}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["record", "check"])
    parser.add_argument("cases", nargs="*", help="names; all of them by default")
    parser.add_argument("--force", action="store_true", help="write over what is recorded")
    options = parser.parse_intermixed_args(argv)
    importlib.import_module("conftest")  # compiled as in the tests
    names, bad = options.cases or list(CASES), 0
    for name in names:
        path = DIRECTORY / f"{name}.npz"
        if options.what == "record" and path.exists() and not options.force:
            sys.exit(f"{path} is there: --force writes over it")
    for name in names:
        begun, found = time.perf_counter(), run(name)
        if options.what == "record":
            DIRECTORY.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(DIRECTORY / f"{name}.npz", **found)
            told = []
        else:
            told = differences(name, found)
        bad += bool(told)
        print(f"{name}: {time.perf_counter() - begun:.1f} s", *told, sep="\n  ", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
