"""Where data come from: scikit-learn's copies of real data, a made problem, MNIST's files."""

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.data.files import read_mnist
from jaxopt_edu.data.raw import Raw
from jaxopt_edu.values.pytrees import nearest, show

__all__ = ["datasets"]


def _sklearn(name: str, task: str) -> Raw:
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            f"{name!r} comes with scikit-learn, which is not installed: "
            "pip install 'jaxopt_edu[cli]'"
        ) from None
    bunch = getattr(datasets, f"load_{name}")()
    targets = tuple(map(str, bunch.get("target_names", ["target"])))
    features = tuple(map(str, bunch.feature_names))
    return Raw(bunch.data, bunch.target, features, targets, task)


def _digits() -> Raw:
    """The digits, read from scikit-learn's file of them: to import scikit-learn takes longer than
    to train on them."""
    package = importlib.util.find_spec("sklearn")
    origin = package.origin if package else None
    path = Path(origin or "sklearn").parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        return _sklearn("digits", "classification")
    lines = gzip.decompress(path.read_bytes()).decode().split()
    rows = np.array([line.split(",") for line in lines], float)
    names = tuple(f"pixel_{i}_{j}" for i in range(8) for j in range(8))
    classes = tuple(map(str, range(10)))
    return Raw(rows[:, :-1], rows[:, -1].astype(int), names, classes, "classification")


def _linear(seed: int) -> Raw:
    """y = 3 x + U(0, 1), x from U(0, 1): 1,000 examples."""
    x, noise = np.random.default_rng(seed).random((2, 1000))
    return Raw(x[:, None], 3 * x + noise, ("x",), ("y",), "regression")


def _mnist(path: Any) -> Raw:
    if path is None:
        raise ValueError(
            "mnist is read from files: path = a directory with the four IDX files, or an npz"
        )
    x, y, x_test, y_test = read_mnist(path)
    rows, columns = x.shape[1:]
    parts = ((x, y), (x_test, y_test))
    names = tuple(f"pixel_{i}_{j}" for i in range(rows) for j in range(columns))
    digits = tuple(map(str, range(10)))
    (x, y), test = ((images.reshape(len(images), -1), labels) for images, labels in parts)
    return Raw(x, y, names, digits, "classification", test=test)


SOURCES = {
    "digits": lambda seed, path: _digits(),
    "breast_cancer": lambda seed, path: _sklearn("breast_cancer", "classification"),
    "wine": lambda seed, path: _sklearn("wine", "classification"),
    "iris": lambda seed, path: _sklearn("iris", "classification"),
    "diabetes": lambda seed, path: _sklearn("diabetes", "regression"),
    "linear": lambda seed, path: _linear(seed),
    "mnist": lambda seed, path: _mnist(path),
}


def datasets() -> tuple[str, ...]:
    """The names that `load` knows.

    >>> import jaxopt_edu as jo
    >>> jo.data.datasets()
    ('digits', 'breast_cancer', 'wine', 'iris', 'diabetes', 'linear', 'mnist')
    """
    return tuple(SOURCES)


def read(name: str, seed: int, path: Any) -> Raw:
    """The raw data of that name."""
    if not isinstance(name, str):
        raise TypeError(f"dataset = {show(name)}: wanted one of: {', '.join(SOURCES)}")
    if name not in SOURCES:
        raise ValueError(f"dataset {name!r} is unknown; {nearest(name, SOURCES)}")
    if path is not None and name != "mnist":
        raise ValueError(f"{name} is not read from files, got path = {str(path)!r}")
    return SOURCES[name](seed, path)
