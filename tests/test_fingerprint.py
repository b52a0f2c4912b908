"""Laws of identity: what changes a result changes a fingerprint, and nothing else does."""

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import children
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import linen as nn

import jaxopt_edu as jo
from jaxopt_edu.storage.identity import fingerprint, fingerprints

SOURCE = '''
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

SCALE = 2.0
TABLE = {"low": 1, "high": 2}
WEIGHTS = np.array([1.0, 2.0])


def deep(x):
    return x * 3


def helper(x):
    return deep(x) + 1


def loss(p, y, power=2, *, weight=0.5):
    return SCALE * weight * helper(p - y) ** power + TABLE["low"] + WEIGHTS[0]


def decorator(f):
    @functools.wraps(f)
    def inner(*args):
        return 1 * f(*args)

    return inner


@decorator
def decorated(p, y):
    return p - y


@jax.jit
def jitted(p, y):
    return helper(p) - y


@jax.custom_vjp
def custom(p):
    return p * 2


custom.defvjp(lambda p: (custom(p), None), lambda kept, g: (g * 2,))


def closing(array, number):
    return lambda p, y: array[0] * p - number * y


closed = closing(np.arange(3.0), 4)
chosen = {"linear": lambda p, y: p - y, "square": lambda p, y: (p - y) ** 2}
part = functools.partial(loss, weight=0.25)
gradient = jax.vmap(jax.grad(lambda p: helper(p)))


class Base:
    """A base."""

    bias = 1

    def shift(self, x):
        return x + self.bias

    @property
    def rate(self):
        return 5

    @staticmethod
    def cut(x):
        return x / 6


class Own(Base):
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, p, y):
        return self.cut(self.shift(p) - y) * self.scale * self.rate


@dataclasses.dataclass(frozen=True)
class Fields:
    first: float = 7.0

    def __call__(self, p, y):
        return self.first * (p - y)


own = Own(8)
method = own.__call__
fields = Fields()


def outer(p, y):
    def inner(x):
        return x - 9

    return inner(p) - y


class Recursive:
    def even(self, n):
        return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and Recursive().even(n - 1)


@functools.cache
def cached(p, y):
    return p - y * 10
'''
VALUES = (
    "loss", "decorated", "jitted", "custom", "closed", "chosen", "part", "gradient", "own",
    "method", "fields", "outer", "odd", "cached",
)  # fmt: skip


def made(source, file="/somewhere/mine.py", name="mine"):
    """What a module of this text holds."""
    module = types.ModuleType(name)
    exec(compile(source, file, "exec"), vars(module))
    return {value: vars(module)[value] for value in VALUES}


STORED = json.loads(json.dumps(fingerprints(made(SOURCE)).as_json()))

EDITS = {  # of the source, and the place that says so
    "the body": ("SCALE * weight *", "SCALE / weight *", "loss was edited"),
    "a helper": ("deep(x) + 1", "deep(x) - 1", "loss -> helper was edited"),
    "a helper's helper": ("x * 3", "x * 4", "loss -> helper -> deep was edited"),
    "a global": ("SCALE = 2.0", "SCALE = 2.5", "loss -> SCALE was 2.0, now 2.5"),
    "a global's type": ("SCALE = 2.0", "SCALE = 2", "loss -> SCALE was float 2.0, now int 2"),
    "a global dict": ('"low": 1', '"low": 3', "loss -> TABLE was dict"),
    "a global array": ("[1.0, 2.0]", "[1.0, 2.5]", "loss -> WEIGHTS was edited"),
    "a default": ("power=2", "power=3", r"loss\(power\) was 2, now 3"),
    "a keyword's default": ("weight=0.5", "weight=0.6", r"loss\(weight\) was 0.5, now 0.6"),
    "a decorated function": (
        "    return p - y\n\n\n@jax.jit",
        "    return p\n\n\n@jax.jit",
        "decor",
    ),
    "a decorator": ("1 * f(*args)", "2 * f(*args)", "decorated was edited"),
    "a jitted function": ("helper(p) - y", "helper(p) + y", "jitted.__wrapped__ was edited"),
    "a rule of derivatives": ("(g * 2,)", "(g * 3,)", "custom.bwd was edited"),
    "an array in a closure": ("np.arange(3.0)", "np.arange(3.0) + 1", "closed -> array was edited"),
    "a number in a closure": (", 4)", ", 5)", "closed -> number was 4, now 5"),
    "a lambda in a dict": ("(p - y) ** 2}", "(p - y) ** 4}", "chosen.square was edited"),
    "an argument of a partial": ("weight=0.25", "weight=0.3", "part.keywords was dict"),
    "a function in vmap and grad": ("p: helper(p)", "p: 2 * helper(p)", "gradient.* was edited"),
    "a base's method": ("x + self.bias", "x - self.bias", r"Own.Base.shift was edited"),
    "a base's constant": ("bias = 1", "bias = 2", "Own.Base.bias was 1, now 2"),
    "a property": ("return 5", "return 6", "Own.Base.rate.fget was edited"),
    "a static method": ("x / 6", "x / 7", "Own.Base.cut.__func__ was edited"),
    "the state of an object": ("Own(8)", "Own(9)", "own.scale was 8, now 9"),
    "a field's default": ("first: float = 7.0", "first: float = 8.0", "Fields.* was 7.0, now 8.0"),
    "a function inside": ("return x - 9", "return x - 10", "outer was edited"),
    "a circle": ("n == 0 or", "n == 1 or", "Recursive.even was edited"),
    "a cached function": ("y * 10", "y * 11", "cached.__wrapped__ was edited"),
    "another function of the name": ("loss, weight=0.25", "helper, weight=0.25", "part.func"),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_noticed_and_named(what):
    old, new, place = EDITS[what]
    assert SOURCE.count(old) >= 1
    differs = fingerprints(made(SOURCE.replace(old, new))).differs(STORED)
    assert differs is not None and re.search(place, differs), differs


HARMLESS = {
    "nothing": ("", ""),
    "a comment": ("def helper(x):", "def helper(x):  # helps"),
    "lines": ("def deep(x):", "\n\n\n\ndef deep(x):"),
    "a docstring": ("def helper(x):", 'def helper(x):\n    """Helps."""'),
    "another docstring": ('"""A base."""', '"""The base."""'),
    "no docstring": ('    """A base."""\n', ""),
    "a docstring inside": ("def inner(x):", 'def inner(x):\n        """Inner."""'),
    "brackets": ("deep(x) + 1", "(deep(x)) + (1)"),
    "quotes": ('TABLE["low"]', "TABLE['low']"),
    "order in a dict": ('{"low": 1, "high": 2}', '{"high": 2, "low": 1}'),
    "order of imports": ("import jax\nimport jax.", "import numpy as np\nimport jax\nimport jax."),
    "an unused import": ("import jax\n", "import json\nimport jax\n"),
    "an unused function": ("def deep(x):", "def unused(x):\n    return x\n\n\ndef deep(x):"),
    "an unused constant": ("SCALE = 2.0", "SCALE = 2.0\nOTHER = 1"),
    "annotations": ("def helper(x):", "def helper(x: float) -> float:"),
    "a number of NumPy": ("SCALE = 2.0", "SCALE = np.float64(2.0)"),
    "an array of JAX": ("np.array([1.0, 2.0])", "np.asarray(jnp.array([1.0, 2.0]), float)"),
    "an array in columns": ("np.array([1.0, 2.0])", "np.array([[1.0, 0], [2, 0]])[:, 0]"),
    "an equal expression": ("SCALE = 2.0", "SCALE = 1.0 + 1.0"),
}  # fmt: skip
ORDER = ("def deep(x):\n    return x * 3\n\n\n", "def outer(p, y):")


@pytest.mark.parametrize("what", HARMLESS)
def test_what_changes_no_result_is_accepted(what):
    old, new = HARMLESS[what]
    assert fingerprints(made(SOURCE.replace(old, new))).differs(STORED) is None


def test_place_and_name_of_the_module_order_and_local_names_do_not_matter():
    assert fingerprints(made(SOURCE, "/elsewhere/his.py", "his")).differs(STORED) is None
    moved = SOURCE.replace(ORDER[0], "").replace(ORDER[1], ORDER[0] + ORDER[1])
    assert moved != SOURCE and fingerprints(made(moved)).differs(STORED) is None
    names = [made(f"{SOURCE}\ndef loss(p):\n    {n} = p + 1\n    return {n}")["loss"] for n in "ab"]
    assert fingerprint(names[0]) == fingerprint(names[1])


def test_data_are_their_content_seed_shares_and_preparation(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    changed = np.where(np.arange(80).reshape(40, 2) == 50, 1.0, x)

    def told(x=x, y=y, **how):
        return fingerprint(jo.data.from_arrays(x, y, **how), "data")

    one = told().as_json()
    for same in (
        told(x.copy(), y.copy()), told(pd.DataFrame(x, columns=["a", "b"]), pd.Series(y)),
        told(np.asfortranarray(x)), told(x.tolist(), y.tolist()), told(name="other"),
        told(features=("u", "v")), told(seed=np.int64(0)),
    ):  # fmt: skip
        assert same.differs(one) is None
    for other, place in (
        (told(changed), "data.sha256"), (told(x, 1 - y), "data.sha256"),
        (told(x[::-1], y[::-1]), "data.sha256"), (told(seed=1), "data.seed was 0, now 1"),
        (told(test=0.3), "data.test was 0.2, now 0.3"), (told(prepare="min_max"), "preparation"),
        (told(validation=(x, y)), "data.sha256"), (told(x.astype(np.float32)), "data.sha256"),
    ):  # fmt: skip
        assert place in other.differs(one)
    data = jo.data.from_arrays(x, y)
    noisy = dataclasses.replace(data, train=data.train._replace(y=1 - data.train.y))
    assert "data.arrays was edited" in fingerprint(noisy, "data").differs(one)
    folds = [
        fingerprint(jo.data.k_fold(data, k, seed=s)).digest for k, s in ((2, 0), (2, 1), (3, 0))
    ]
    assert len(set(folds)) == 3


def test_a_file_of_data_is_its_content_and_not_its_place(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 2, 2), dtype=np.uint8)
    labels = (np.arange(40) % 10).astype(np.uint8)
    for name, first in (("one.npz", images), ("two.npz", images), ("three.npz", 255 - images)):
        arrays = {"x_train": first, "y_train": labels, "x_test": images, "y_test": labels}
        np.savez(tmp_path / name, **arrays)
    prints = [
        fingerprint(jo.data.load("mnist", path=tmp_path / name, validation=0.3))
        for name in ("one.npz", "two.npz", "three.npz")
    ]
    assert (tmp_path / "one.npz").stat().st_size == (tmp_path / "three.npz").stat().st_size
    assert prints[0] == prints[1] and prints[0].digest != prints[2].digest
    assert not any(str(tmp_path) in what for what in prints[0].parts.values())


def reading(p, y):
    with open(os.devnull) as file:
        return p - len(file.read())


def loading(p, y):
    return p - np.load("weights.npy")


def waiting(p, y):
    import time

    return p - os.environ["RATE"] + time.time()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (reading, "loss -> open"),
        (loading, "loss -> np.load"),
        (waiting, "loss -> os.environ"),
        (functools.partial(waiting, sys.__stderr__), "loss.args.0"),
        (lambda p, y: Path("rate").read_text(), "loss -> read_text"),
        (np.frompyfunc(lambda p, y: p, 2, 1), "loss"),
        ((i for i in range(3)), "loss"),
    ],
)  # fmt: skip
def test_what_cannot_be_identified_is_said(value, place):
    assert place in fingerprint(value, "loss").unknown


class Used:
    @functools.cached_property
    def heavy(self):
        return 1

    def __call__(self, p, y):
        return p - y


class Slotted:
    __slots__ = ("a", "b")


@functools.singledispatch
def dispatched(x):
    return x


@functools.lru_cache
def remembered(x):
    return x


def test_use_changes_nothing():
    class Net(nn.Module):
        width: int = 2

        @nn.compact
        def __call__(self, x):
            return nn.Dense(self.width)(x)

    calls = 0

    def counting(x):
        global _CALLS
        _CALLS = calls
        return x

    slotted = Slotted()
    slotted.a = 1
    used, net, jitted = Used(), Net(), jax.jit(lambda x: x)
    values = [used, slotted, dispatched, remembered, net, jitted, jax.vmap(jitted), counting]
    old = fingerprint(values)
    for value in (used, slotted):
        value.__reduce_ex__(4)
    used.heavy, dispatched(1), remembered(2), jitted(1.0), counting(3)
    net.init(jax.random.key(0), jnp.ones((1, 2)))
    assert fingerprint(values) == old and not old.unknown


def test_a_class_that_names_no_module_of_its_own_is_what_it_does():
    def of(text):
        space = {"dataclasses": dataclasses}
        exec(f"class Mine:\n    def __call__(self, x):\n        return {text}", space)
        member = eval(f"lambda self, x: {text}", space)
        made = dataclasses.make_dataclass("Made", ["a"], namespace={"__call__": member})
        return [space["Mine"](), made(1)]

    for one, other in zip(of("x"), of("2 * x"), strict=True):
        assert "__call__ was edited" in fingerprint(other).differs(fingerprint(one).as_json())
    assert fingerprint(of("x")) == fingerprint(of("(x)"))


def test_libraries_are_their_versions(monkeypatch):
    from jaxopt_edu.storage.identity import owners

    old = fingerprint(jnp.abs, "f").as_json()
    monkeypatch.setattr(sys.modules["jax"], "__version__", "99.0")
    owners.versions.cache_clear()
    assert fingerprint(jnp.abs, "f").differs(old).startswith("jax was 0.")
    assert fingerprint(jnp.abs, "f").differs(old, versions=False) is None
    monkeypatch.undo()
    owners.versions.cache_clear()
    assert fingerprint(jnp.abs, "f").differs(old) is None


def test_a_clone_of_this_library_is_its_files(monkeypatch):
    from jaxopt_edu.storage.identity import owners

    old = fingerprint(jo.losses.squared_error, "loss").as_json()
    assert any(name.startswith("jaxopt_edu.nn.losses.") for name in old["libraries"])
    monkeypatch.setattr(owners, "file_digest", lambda file: "another")
    owners.versions.cache_clear()
    now = fingerprint(jo.losses.squared_error, "loss")
    assert now.differs(old) == "the file of jaxopt_edu.nn.losses.regression was edited"
    monkeypatch.undo()
    owners.versions.cache_clear()


def test_another_python_is_refused_as_that():
    old = fingerprint(reading, "loss").as_json() | {"python": "3.4"}
    assert "was written by Python 3.4" in fingerprint(reading, "loss").differs(old)
    assert fingerprint(jo.losses.squared_error).python is None


def test_numbers_are_told_apart_by_type_and_sets_have_no_order():
    values = [1, 1.0, True, 1 + 0j, "1", b"1", None, np.float32(1), np.int8(1), (1,), [1], {1}]
    assert len({fingerprint(value).digest for value in values}) == len(values)
    words = [f"word {i}" for i in range(50)]
    assert fingerprint(set(words)) == fingerprint(set(reversed(words)))
    assert fingerprint({w: reading for w in words}) == fingerprint(
        {w: reading for w in reversed(words)}
    )


def test_a_large_value_is_told_in_few_parts():
    many = [jo.sgd(0.1 * k) for k in range(2000)]
    told = fingerprint(many, "space")
    assert len(told.parts) < 4500
    assert "space.1999" in fingerprint([*many[:-1], jo.sgd(0.5)], "space").differs(told.as_json())


# ------------------------------------------------------------------------------- through stores


def space(loss, data=None):
    return jo.Training(
        jo.models.Linear(1), loss, jo.sgd(jo.log_uniform(1e-3, 1e-1)), jo.data.load("linear")
    )


def test_stores_refuse_an_edit_and_take_what_is_the_same(tmp_path):
    body = "def loss(p, y):\n    return {} * (p - y) ** 2\n"

    def written(text):
        module = types.ModuleType("mine")
        exec(text, vars(module))
        return module.loss

    old, new = written(body.format(2)), written(body.format(3))
    again = written("# moved\n\n" + body.format(2))
    study = jo.sweep(space(old), 2, steps=2, store=tmp_path / "sweep")
    same = jo.sweep(space(again), 2, steps=2, store=tmp_path / "sweep")
    np.testing.assert_array_equal(same.columns["test_loss"], study.columns["test_loss"])
    with pytest.raises(ValueError, match="other arguments: space.loss was edited .function loss"):
        jo.sweep(space(new), 2, steps=2, store=tmp_path / "sweep")
    experiment = jo.replace(space(old), learning_rate=0.1)
    run = jo.fit(experiment, 2, store=tmp_path / "fit")
    again = jo.fit(dataclasses.replace(experiment, loss=again), 2, store=tmp_path / "fit")
    assert again.scores == run.scores
    with pytest.raises(ValueError, match="other arguments: experiment.loss was edited"):
        jo.fit(dataclasses.replace(experiment, loss=new), 2, store=tmp_path / "fit")
    with pytest.warns(UserWarning, match="cannot tell whether experiment.loss -> open changes"):
        jo.fit(dataclasses.replace(experiment, loss=reading), 2, store=tmp_path / "said")


SCRIPT = """
import functools, sys
import numpy as np, jaxopt_edu as jo
from helping import helper
WORDS = {"a", "b", "c", "d", "e"}
class Loss:
    def __init__(self): self.scale = np.arange(1.0, 3.0)
    def __call__(self, p, y, power): return self.scale[0] * helper(p - y) ** power + len(WORDS)
data = jo.data.from_arrays(np.arange(40.0).reshape(20, 2), np.arange(20.0))
space = jo.Training(jo.models.Linear(2), functools.partial(Loss(), power=2),
    jo.sgd(jo.one_of(0.01, lambda t: 0.001)), data)
study = jo.sweep(space, 2, steps=2, store=sys.argv[1])
run = jo.fit(jo.replace(space, learning_rate=0.01), 2, store=sys.argv[1] + "-fit")
print(study.columns["validation_loss"].tolist(), run.scores)
"""


@pytest.mark.slow
def test_the_same_script_goes_on_in_a_new_process_from_another_place(tmp_path):
    said = []
    for k, helper in enumerate(["x", "x  # the same", "x", "x + 1"]):
        place = tmp_path / f"place {k}"
        place.mkdir()
        (place / "script.py").write_text("\n" * k + SCRIPT)
        (place / "helping.py").write_text(f"def helper(x):\n    return {helper}\n")
        environment = os.environ | children.TOLD | {"PYTHONHASHSEED": str(k)}
        command = [sys.executable, "script.py", str(tmp_path / "store")]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        said.append(done.stdout or done.stderr)
    assert said[0] == said[1] == said[2] and said[0].startswith("[")
    assert "space.loss" in said[3] and "helper was edited (function helper)" in said[3]
