"""What a fingerprint makes of the less usual values: each is told from its like, and named."""

import functools
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage.identity import fingerprint, owners
from jaxopt_edu.storage.identity.content import of_array
from jaxopt_edu.values.hashing import hashable


def closing(value):
    def loss(p, y):
        return value

    return loss


def empty():
    """A function that closes over a variable that is not there yet."""

    def loss(p, y):
        return later

    if not loss:
        later = 1
    return loss


FRAME = {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]}
LISTS = [1, 2], [1, 3]
APART = {  # values of which no two are the same
    "keys": [jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg")],
    "masked": [
        np.ma.array([1, 2], mask=[0, 1]),
        np.ma.array([1, 2], mask=[1, 0]),
        np.ma.array([1, 2]),
        np.array([1, 2]),
    ],
    "tables": [
        pd.DataFrame(FRAME),
        pd.DataFrame(FRAME | {"b": [0.5, 1.5, 3.5]}),
        pd.DataFrame(FRAME).rename(columns={"a": "c"}),
        pd.DataFrame(FRAME, index=[5, 6, 7]),
        pd.DataFrame(FRAME, index=[5, 6, 8]),
        pd.Series([1, 2, 3]),
        pd.Series([1, 2, 4]),
        pd.Series([1, 2, 3], index=["a", "b", "c"]),
    ],
    "functions of NumPy": [np.sqrt, np.exp, functools.partial(np.exp, dtype=np.float32)],
    "functions of C": [len, max, [].append, LISTS[0].append, LISTS[1].append, LISTS[0].pop],
    "closures": [empty(), closing(0), closing(None), closing(len)],
    "dtypes": [np.dtype("float32"), np.dtype("float64"), jnp.bfloat16],
}
ALIKE = {
    "keys": lambda: jax.random.key(3),
    "masked": lambda: np.ma.array([1, np.random.default_rng().integers(9)], mask=[0, 1]),
    "tables": lambda: pd.DataFrame(dict(FRAME)),
    "functions of C": lambda: [1, 2].append,
    "closures": empty,
}


@pytest.mark.parametrize("kind", APART)
def test_values_are_told_apart(kind):
    values = APART[kind]
    assert len({fingerprint(value).digest for value in values}) == len(values)
    assert not any(fingerprint(value).unknown for value in values)


@pytest.mark.parametrize("kind", ALIKE)
def test_values_that_are_made_alike_are_the_same(kind):
    assert fingerprint(ALIKE[kind]()) == fingerprint(ALIKE[kind]())


def test_an_edited_table_is_named_by_its_column():
    old = fingerprint(pd.DataFrame(FRAME), "data").as_json()
    edited = fingerprint(pd.DataFrame(FRAME | {"b": [0.5, 1.5, 3.5]}), "data")
    assert edited.differs(old).startswith("data.b was edited")


def test_a_traced_array_is_its_shape_and_type():
    told = []
    jax.jit(lambda x: told.append(of_array(x)) or x)(jnp.zeros((2, 3)))
    assert told == ["tracer float32[2,3]"]


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        (open, "loss", "what it reads of files"),
        (types.ModuleType("mine"), "loss", "the module mine as a whole"),
        (closing(open), "loss -> value", "what it reads of files"),
        (np.frompyfunc(len, 1, 1), "loss", "a numpy.frompyfunc"),
    ],
)
def test_what_has_no_identity_is_said_where_it_is(value, place, what):
    assert what in fingerprint(value, "loss").unknown[place]


# --------------------------------------------------------------------------- modules of the user


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's own, with a module within; what writes its files."""
    name = f"own_{tmp_path.name}"
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, file="__init__.py"):
        (tmp_path / name / file).write_text(text)

    write("")
    write("RATE = 1\n", "rates.py")
    yield name, write
    for known in [known for known in sys.modules if known.partition(".")[0] == name]:
        del sys.modules[known]


def importing(package, text):
    """A function of a module in the package."""
    module = types.ModuleType(f"{package}.script")
    module.__package__ = package
    exec(text, vars(module))
    return module.loss


FROM = {
    "absolute": "def loss(p, y):\n    from {} import rates\n    return rates.RATE\n",
    "relative": "def loss(p, y):\n    from . import rates\n    return rates.RATE\n",
    "of it": "def loss(p, y):\n    from .rates import RATE\n    return RATE\n",
}


@pytest.mark.parametrize("kind", FROM)
def test_a_module_that_a_function_imports_is_its_text(kind, package):
    name, write = package
    loss = importing(name, FROM[kind].format(name))
    old = fingerprint(loss, "loss")
    assert not old.unknown
    write("'''Rates.'''\nRATE = 1  # a comment\n", "rates.py")
    assert fingerprint(loss, "loss") == old
    write("RATE = 2\n", "rates.py")
    assert "rates was edited" in fingerprint(loss, "loss").differs(old.as_json())
    write("RATE = = 2\n", "rates.py")
    assert fingerprint(loss, "loss").differs(old.as_json()) is not None


def test_a_module_that_is_not_there_is_said(package):
    name, _ = package
    loss = importing(name, f"def loss(p, y):\n    import {name}x.rates\n    return p\n")
    [(place, what)] = fingerprint(loss, "loss").unknown.items()
    assert place.endswith(f"{name}x.rates") and what == "a module that is not found"


def test_a_name_that_is_not_there_yet_is_told_from_one_that_is():
    space = {}
    exec("def loss(p, y):\n    return scale * p\n", space)
    old = fingerprint(space["loss"], "loss").as_json()
    space["scale"] = 2.0
    told = fingerprint(space["loss"], "loss").differs(old)
    assert told == "loss -> scale was nothing yet, now float 2.0"


def test_whose_a_module_is(package, monkeypatch):
    name, _ = package
    assert owners.library(name) is None and owners.versions(name) == {}
    assert owners.own_module(f"{name}.rates").endswith("rates.py")
    assert owners.own_module("json") is None and owners.own_module("numpy") is None
    assert owners.own_module(f"{name}.absent") is None
    assert owners.own_module(f"{name}.rates.deeper") is None  # rates is no package
    assert owners.library("json") == "Python" and owners.library("numpy") == "numpy"
    monkeypatch.delattr(sys.modules["pandas"], "__version__")
    assert owners._version("pandas") == owners.metadata.version("pandas")
    assert owners._version("sklearn") == owners.metadata.version("scikit-learn")
    assert owners._version("nowhere_at_all") == "of no known version"


# ------------------------------------------------------------------------------------ structure


def test_structure_of_dicts_and_lists_has_the_hash_of_what_it_equals():
    one = hashable(({"w": True, "b": [1, {"c": (2,)}]}, "x"))
    other = hashable(({"b": [1, {"c": (2,)}], "w": True}, "x"))
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert one != hashable(({"w": False, "b": [1, {"c": (2,)}]}, "x"))
    assert one != one.fields and hashable((1, "x")) == (1, "x")


def test_equal_masks_are_one_program():
    traced = []

    @jax.jit
    def penalty(regularizer, params):
        traced.append(regularizer)
        return regularizer(params)

    params = {"w": jnp.full(2, 2.0), "b": jnp.full(2, 3.0)}
    masks = {"w": True, "b": False}, {"b": False, "w": True}, {"b": True, "w": False}
    found = [float(penalty(jo.L2(1.0, mask=mask), params)) for mask in masks]
    assert found == [4.0, 4.0, 9.0] and len(traced) == 2
