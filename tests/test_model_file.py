"""A trained model leaves the process as one file, and nothing in a file is believed."""

import dataclasses
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.storage.archive import CONTENT, decoded, encoded, read_archive, write_archive
from jaxopt_edu.storage.model_file import FORMAT

SOFTMAX = jo.losses.softmax_cross_entropy_with_integer_labels
N = 60
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({"size": RANDOM.normal(3, 2, N), "kind": RANDOM.choice(["a", "b", "c"], N)})
Y = np.where(FRAME["size"] + (FRAME.kind == "a") > 3, "large", "small")
PREPARE = (
    jo.data.drop_duplicates(),
    jo.data.on(["kind"], jo.data.one_hot(unknown="error")),
    "impute",
    "standardize",
    jo.data.select([0, 1, 2]),
    "min_max",
)
DATA = jo.data.from_arrays(FRAME, Y, prepare=PREPARE)
TRAINING = jo.Training(jo.models.Linear(3, 2), SOFTMAX, jo.adam(0.1), DATA)
RUN = jo.fit(TRAINING, steps=40)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.jo"
    RUN.save(path)
    return path


def same_answers(model, run, rows=FRAME):
    for method in ("predict", "predict_proba"):
        want, found = getattr(run, method)(rows), getattr(model, method)(rows)
        assert want.dtype == found.dtype
        np.testing.assert_array_equal(found, want)


def test_the_same_rows_give_the_same_bits(saved):
    model = jo.load_model(saved)
    same_answers(model, RUN)
    same_answers(model, RUN, FRAME[["kind", "size"]])
    x = DATA.prepare(FRAME)
    assert np.asarray(model.apply(x)).tobytes() == np.asarray(RUN.apply(x)).tobytes()
    assert model.evaluate(FRAME, Y) == RUN.evaluate(FRAME, Y)
    assert (model.features, model.targets, model.labels) == (
        DATA.features,
        DATA.targets,
        DATA.labels,
    )
    one = np.concatenate([model.predict_proba(FRAME.iloc[i : i + 1]) for i in range(N)])
    np.testing.assert_allclose(one, model.predict_proba(FRAME), atol=1e-6)
    assert repr(model) == "SavedModel(Linear(inputs=3, outputs=2): 2 columns -> 2 classes)"


def test_a_loaded_model_checks_rows_as_the_run_does(saved):
    model = jo.load_model(saved)
    np.testing.assert_array_equal(model.predict(DATA.test.x), RUN.predict("test"))
    wrong = {
        "missing: 'size'": FRAME[["kind"]],
        "unknown: 'z'": FRAME.assign(z=1),
        "column 'kind' holds an unknown category .'q' in row 0": FRAME.assign(kind="q"),
        "prepared for other data": jo.data.from_arrays(FRAME, Y, prepare=PREPARE, seed=1).test.x,
    }
    for words, rows in wrong.items():
        with pytest.raises(ValueError, match=words):
            model.predict(rows)


def test_equal_models_are_equal_files(saved, tmp_path):
    RUN.save(tmp_path / "again.jo")
    assert (tmp_path / "again.jo").read_bytes() == saved.read_bytes()
    assert os.listdir(tmp_path) == ["again.jo"]
    with np.load(saved) as arrays:  # NumPy reads the arrays of it
        assert all(np.isfinite(x).all() for x in map(arrays.__getitem__, arrays.files[1:]))
    with pytest.raises(OSError, match="nowhere"):
        RUN.save(tmp_path / "nowhere" / "model.jo")


def test_no_row_of_the_data_is_in_the_file(saved):
    content, arrays = read_archive(saved)
    found = saved.read_bytes() + json.dumps(content).encode()
    for part in (DATA.train, DATA.validation, DATA.test):
        for row in np.asarray(part.x):
            assert row.tobytes() not in found and row.astype(float).tobytes() not in found
    for value in FRAME["size"]:
        assert struct.pack("<d", value) not in found and repr(value).encode() not in found
    assert sum(x.size for x in arrays) < 30


# ------------------------------------------------------------------------------ what can be saved


class Pair(NamedTuple):
    w: Any
    more: Any


@jo.pytree
class Mine:
    """Params of many kinds, in containers of many kinds."""

    outputs: int = jo.static(default=2)

    def init(self, key):
        more = {
            "half": jnp.ones(2, jnp.bfloat16), "f16": jnp.ones((), jnp.float16),
            "counts": (jnp.arange(3), [jnp.array([True, False]), None]),
            "turn": jnp.array([1 + 2j]), "key": key, "keys": jax.random.split(key, 2), "none": (),
            "empty": jnp.zeros((0, 3)), "e4m3": jnp.ones(3, jnp.float8_e4m3fn),
        }  # fmt: skip
        return Pair(jnp.ones((3, self.outputs)), more)

    def apply(self, params, x, key=None):
        return x @ params.w


def own_loss(p, y):
    return SOFTMAX(2 * p, y)


def own_metric(p, y, weights=None):
    return jo.metrics.accuracy(p, y, weights)


def as_run(model, params, loss=SOFTMAX, metrics=()):
    experiment = dataclasses.replace(TRAINING, model=model, loss=loss, metrics=metrics)
    return dataclasses.replace(RUN, experiment=experiment, state=RUN.state._replace(params=params))


def test_params_of_all_kinds_come_back(tmp_path):
    params = Mine().init(jax.random.key(3, impl="rbg"))
    run = as_run(Mine(), params)
    run.save(tmp_path / "mine.jo")
    with pytest.raises(ValueError, match=r"model was .*Mine.*give load_model model="):
        jo.load_model(tmp_path / "mine.jo")
    with pytest.raises(ValueError, match="holds the params of another model.*Linear"):
        jo.load_model(tmp_path / "mine.jo", model=jo.models.Linear(3, 2))
    with pytest.raises(ValueError, match=r"another model: params.w: it has shape \(3, 2\)"):
        jo.load_model(tmp_path / "mine.jo", model=Mine(5))
    model = jo.load_model(tmp_path / "mine.jo", model=Mine())
    assert jax.tree.structure(model.params) == jax.tree.structure(params)
    for x, y in zip(jax.tree.leaves(model.params), jax.tree.leaves(params), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    same_answers(model, run)


def test_what_is_the_users_own_is_asked_for(tmp_path):
    run = as_run(TRAINING.model, RUN.params, own_loss, (own_metric, jo.metrics.accuracy))
    run.save(tmp_path / "own.jo")
    with pytest.raises(ValueError, match=r"loss was own_loss; metrics.0 was own_metric.*loss=.*me"):
        jo.load_model(tmp_path / "own.jo")
    given = {"loss": own_loss, "metrics": (own_metric,)}
    model = jo.load_model(tmp_path / "own.jo", **given)
    np.testing.assert_array_equal(model.predict(FRAME, link="softmax"), RUN.predict(FRAME))
    assert set(model.evaluate(FRAME, Y)) == {"loss", "own_metric"}
    with pytest.raises(ValueError, match="give link="):
        model.predict(FRAME)


WRAPPED = {
    "numbers": (jo.losses.with_numbers(SOFTMAX, label_smoothing=0.1), 2),
    "weights": (jo.losses.class_weighted(jo.losses.sigmoid_binary_cross_entropy, (1.0, 3.0)), 1),
    "both": (
        jo.losses.class_weighted(jo.losses.with_numbers(SOFTMAX, label_smoothing=0.1), (1, 2.5)),
        2,
    ),
}


@pytest.mark.parametrize("what", WRAPPED)
def test_losses_with_numbers_come_back(what, tmp_path):
    loss, outputs = WRAPPED[what]
    linear = jo.models.Linear(3, outputs)
    params = RUN.params if outputs == 2 else {"w": jnp.ones(3), "b": jnp.zeros(())}
    run = as_run(linear, params, loss)
    run.save(tmp_path / "model.jo")
    model = jo.load_model(tmp_path / "model.jo")
    assert model.loss == loss
    same_answers(model, run)
    assert model.evaluate(FRAME, Y) == run.evaluate(FRAME, Y)


MODELS = [
    jo.models.RandomFeatures(3, 2, features=8, gamma=0.3, seed=2**31),
    *(
        pytest.param(model, marks=pytest.mark.slow)
        for model in (
            jo.models.MLP((3, 4, 2), activation="tanh", dropout=0.1),
            jo.models.SoftTree(3, 2, depth=2),
            jo.models.ObliviousTrees(3, 2, trees=2, depth=2),
            jo.models.Transformer(3, 2, tokens=3, width=4, heads=2, hidden=4),
        )
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_every_model_comes_back(model, tmp_path):
    run = as_run(model, model.init(jax.random.key(0)))
    run.save(tmp_path / "model.jo")
    found = jo.load_model(tmp_path / "model.jo")
    assert found.model == model
    same_answers(found, run, FRAME.iloc[:3])


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)
LABELS = st.one_of(
    st.lists(TEXT, min_size=2, max_size=4, unique=True),
    st.lists(st.integers(-(2**60), 2**60), min_size=2, max_size=4, unique=True),
    st.just([False, True]),
)


@given(LABELS, TEXT, st.lists(TEXT, min_size=2, unique=True))
def test_labels_names_and_categories_come_back(tmp_path_factory, labels, name, categories):
    rows = pd.DataFrame({name: [categories[i % len(categories)] for i in range(20)]})
    y = np.array([labels[i // 2 % len(labels)] for i in range(20)])
    data = jo.data.from_arrays(rows, y, prepare="one_hot", validation=0, test=0)
    linear = jo.models.Linear(data.train.x.shape[1], len(data.labels))
    params = {"w": np.ones((linear.outputs, linear.inputs)), "b": np.zeros(linear.outputs)}
    run = as_run(linear, params)
    run = dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, data=data))
    path = tmp_path_factory.getbasetemp() / "labels.jo"
    run.save(path)
    model = jo.load_model(path)
    assert model.labels == data.labels and model.columns == data.source.columns
    assert list(map(type, model.labels)) == list(map(type, data.labels))
    x = data.prepare(rows)
    np.testing.assert_array_equal(np.asarray(model.columns.rows(rows)), rows.to_numpy(object))
    np.testing.assert_array_equal(model.fitted.apply(rows.to_numpy(object)).astype(x.dtype), x)


class Doubled(jo.data.Preparation):
    def fit(self, x):
        return DoubledFit()


class DoubledFit:
    changes = True

    def apply(self, x):
        return 2 * np.asarray(x)

    def names(self, names):
        return names


def test_a_preparation_of_ones_own_is_refused(tmp_path):
    data = jo.data.from_arrays(RANDOM.normal(size=(40, 3)), np.arange(40) % 2, prepare=Doubled())
    run = dataclasses.replace(RUN, experiment=dataclasses.replace(TRAINING, data=data))
    assert len(run.predict(RANDOM.normal(size=(4, 3)))) == 4
    with pytest.raises(TypeError, match="save: .*DoubledFit cannot be written into a file"):
        run.save(tmp_path / "model.jo")
    assert not os.listdir(tmp_path)


# ---------------------------------------------------------------------------- files of strangers


def rewritten(path, out, change):
    content, arrays = read_archive(path)
    change(content, arrays)
    write_archive(out, content, arrays)
    return out


def zipped(members, out, **options):
    with zipfile.ZipFile(out, "w", **options) as file:
        for name, held in members.items():
            file.writestr(name, held)
    return out


def header(shape, descr="<f4"):
    out = io.BytesIO()
    told = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, told)
    return out.getvalue()


def parts_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def png(saved, out):
    out.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def empty(saved, out):
    out.write_bytes(b"")


def truncated(saved, out):
    out.write_bytes(saved.read_bytes()[:-200])


def half(saved, out):
    out.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])


def flipped(saved, out):
    whole = bytearray(saved.read_bytes())
    whole[whole.index(b"NUMPY") + 130] ^= 1
    out.write_bytes(bytes(whole))


def npz(saved, out):
    with open(out, "wb") as file:
        np.savez(file, x=np.ones(3))


def foreign(saved, out):
    zipped({"hello.txt": "hello"}, out)


def another_kind(saved, out):
    rewritten(saved, out, lambda c, a: c.update(kind="a store"))


def no_object(saved, out):
    zipped(parts_of(saved) | {CONTENT: "[1, 2]"}, out)


def too_deep(saved, out):
    zipped(parts_of(saved) | {CONTENT: "[" * 10**5}, out)


def outside(saved, out):
    zipped({CONTENT: "{}", "../../0.npy": b""}, out)


def absolute(saved, out):
    zipped({CONTENT: "{}", "/etc/0.npy": b""}, out)


def bomb(saved, out):
    zipped(parts_of(saved) | {"0.npy": bytes(10**7)}, out, compression=zipfile.ZIP_DEFLATED)


def huge_claim(saved, out):
    zipped(parts_of(saved) | {"0.npy": header((10**15,)) + bytes(24)}, out)


def objects(saved, out):
    zipped(parts_of(saved) | {"0.npy": header((1,), "|O") + bytes(8)}, out)


def pickled(saved, out):
    held = io.BytesIO()
    np.save(held, np.array([os.system], object), allow_pickle=True)
    zipped(parts_of(saved) | {"0.npy": held.getvalue()}, out)


def later_header(saved, out):
    held = io.BytesIO()
    np.lib.format.write_array(held, np.zeros(3, np.float32), version=(2, 0))
    zipped(parts_of(saved) | {"0.npy": held.getvalue()}, out)


def other_shape(saved, out):
    rewritten(saved, out, lambda c, a: a.__setitem__(0, a[0][..., :1]))


def arrays_missing(saved, out):
    rewritten(saved, out, lambda c, a: a.clear())


def said(name, described):
    def write(saved, out):
        rewritten(saved, out, lambda c, a: c.update({name: described}))

    write.__name__ = f"{name} {json.dumps(described)[:40]}"
    return write


LINEAR = {"class": "Linear", "inputs": 3, "outputs": 2, "intercept": True}
STRANGE = [
    png, empty, truncated, half, flipped, npz, foreign, another_kind, no_object, too_deep, outside,
    absolute, bomb, huge_claim, objects, pickled, other_shape,
    arrays_missing, later_header,
    said("model", {"class": "save_study", "study": 1, "directory": "x"}),
    said("model", {"class": "SavedModel"}), said("model", {"class": "os.system", "command": "ls"}),
    said("model", {"class": "builtins.exec"}), said("model", {"class": "MLP", "sizes": 3}),
    said("model", {"data": {"name": "mnist", "path": "/"}}), said("model", {"class": ["Linear"]}),
    said("model", {"function": "hinge_loss"}), said("model", LINEAR | {"inputs": 10**15}),
    said("model", LINEAR | {"more": 1}), said("model", {"class": "SoftTree", "depth": 10**9}),
    said("model", 3), said("loss", 3), said("loss", {"class": "Linear", "inputs": 3}),
    said("loss", {"function": "load_model"}), said("loss", {"enum": "signal.Signals"}),
    said("metrics", {"tuple": [1]}), said("metrics", {"function": "accuracy"}),
    said("preparation", {"fitted": "Data", "fields": {}}), said("preparation", {"array": 10**6}),
    said("preparation", {"fitted": "Scaled", "fields": {"shift": 1, "other": 2}}),
    said("preparation", None), said("columns", {"tuple": []}), said("labels", [1, 2]),
    said("labels", {"unheard of": 1}), said("params", []), said("params", [{"place": "['w']"}] * 2),
    said("features", None),
]  # fmt: skip


@pytest.mark.parametrize("write", STRANGE, ids=lambda f: f.__name__)
def test_strange_files_are_refused_by_name(write, saved, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    out = tmp_path / "strange.jo"
    before = set(sys.modules)
    write(saved, out)
    with pytest.raises(ValueError, match="strange.jo "):
        jo.load_model(out)
    assert not called and os.listdir(tmp_path) == ["strange.jo"]
    assert not {m for m in set(sys.modules) - before if m.split(".")[0] in ("pickle", "signal")}


def test_params_of_64_bits_say_so(saved, tmp_path):
    def widen(content, arrays):
        arrays[0] = arrays[0].astype(float)
        content["params"][0]["dtype"] = "float64"

    with pytest.raises(ValueError, match="wide.jo holds params of float64: jax_enable_x64 mu"):
        jo.load_model(rewritten(saved, tmp_path / "wide.jo", widen))


def test_newer_files_say_so(saved, tmp_path):
    newer = rewritten(saved, tmp_path / "newer.jo", lambda c, a: c.update(format=FORMAT + 1))
    with pytest.raises(
        ValueError, match=f"newer.jo has format {FORMAT + 1}: .*reads 1 to {FORMAT}"
    ):
        jo.load_model(newer)
    with pytest.raises(OSError):
        jo.load_model(tmp_path / "nothing.jo")


@given(st.data())
def test_damaged_files_never_do_anything_else(saved, tmp_path_factory, draw):
    whole = bytearray(saved.read_bytes())
    for _ in range(draw.draw(st.integers(1, 3))):
        whole[draw.draw(st.integers(0, len(whole) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.jo"
    path.write_bytes(bytes(whole[: draw.draw(st.integers(0, len(whole)))] or whole))
    try:
        model = jo.load_model(path)
    except ValueError as error:
        assert "damaged.jo" in str(error)
    else:  # the bytes were those that zip does not read
        np.testing.assert_array_equal(model.params["w"], RUN.params["w"])


# ------------------------------------------------------------------------------ a whole workflow

WORKFLOW = """
import sys
import numpy as np, pandas as pd, jaxopt_edu as jo
_, model, rows, out = sys.argv
rows = pd.read_pickle(rows)
model = jo.load_model(model)
one = np.concatenate([model.predict_proba(rows.iloc[i : i + 1]) for i in range(len(rows))])
np.savez(out, labels=model.predict(rows), p=model.predict_proba(rows), one=one)
"""


def messy(n=400):
    """Strings, missing values, dates, and a class that is rare."""
    random = np.random.default_rng(7)
    start = np.datetime64("2026-01-01")
    frame = pd.DataFrame(
        {
            "joined": start + random.integers(0, 300, n).astype("timedelta64[D]"),
            "plan": random.choice(["free", "plus", "pro"], n, p=[0.7, 0.2, 0.1]),
            "visits": random.poisson(5, n).astype(float),
            "country": random.choice(["it", "no", "ch"], n),
            "spent": random.lognormal(3, 1, n),
        }
    )
    days = (frame.joined - start).dt.days
    risk = days / 100 - frame.visits / 3 + (frame.plan == "free") + random.normal(0, 0.5, n)
    y = np.where(risk > np.quantile(risk, 0.88), "churned", "stayed")
    frame["days"] = days.astype(float)
    for name in ("visits", "spent"):
        frame.loc[random.random(n) < 0.1, name] = np.nan
    return frame, y


@pytest.mark.slow
def test_a_messy_table_is_trained_on_saved_and_answered_elsewhere(tmp_path):
    frame, y = messy()
    with pytest.raises(TypeError, match="'joined' holds dates.*make numbers of them, such as days"):
        jo.data.from_arrays(frame[["joined", "days"]], y)
    frame = frame.drop(columns="joined")  # days are there
    prepare = (
        jo.data.on(["visits", "spent", "days"], "impute"),
        jo.data.on(["plan", "country"], "one_hot"),
        "standardize",
    )
    data = jo.data.from_arrays(frame, y, prepare=prepare)
    loss = jo.losses.class_weighted(SOFTMAX, jo.data.class_weights(data))
    model = jo.models.MLP((len(data.features), 16, 2))
    metrics = (jo.metrics.accuracy, jo.metrics.recall)
    training = jo.Training(model, loss, jo.adam(0.01), data, batch_size=32, metrics=metrics)
    run = jo.fit(training, steps=400)
    assert run.evaluate("test")["recall"] > 0.6
    path = tmp_path / "model.jo"
    run.save(path)
    rows = frame.sample(50, random_state=0)[list(frame)[::-1]]
    rows.to_pickle(tmp_path / "rows.pkl")
    script = tmp_path / "answer.py"
    script.write_text(WORKFLOW)
    command = [sys.executable, script, path, tmp_path / "rows.pkl", tmp_path / "out.npz"]
    subprocess.run(command, check=True, cwd=tmp_path)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["labels"], run.predict(rows))
        assert found["p"].tobytes() == run.predict_proba(rows).tobytes()
        np.testing.assert_allclose(found["one"], found["p"], atol=1e-6)
    held = path.read_bytes() + b"".join(parts_of(path).values())
    for part in (data.train, data.validation, data.test):
        for row in np.asarray(part.x):
            assert row.tobytes() not in held and row.astype(float).tobytes() not in held
    fitted = {x for a in read_archive(path)[1] for x in a.astype(float).ravel().tolist()}
    for value in frame.spent.dropna():
        assert struct.pack("<d", value) not in held and repr(float(value)).encode() not in held
        assert value not in fitted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metrics": ("f1_scor",)}, "unknown metric 'f1_scor'; did you mean 'f1_score'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'; did you mean 'hinge_loss'"),
        ({"loss": 3}, "loss = 3: wanted a function"),
        ({"metrics": 3}, "metrics = 3: wanted a tuple of functions"),
        ({"model": 3}, "model = 3 has no init"),
        ({"loss": jo.metrics.accuracy}, "loss = accuracy is a metric"),
        ({"loss": "hinge_loss"}, "loss = hinge_loss wants targets -1 and 1"),
        ({"loss": "squared_error"}, "loss = squared_error measures numbers"),
        ({"loss": lambda p, y: p.mean()}, "loss = <lambda> gives the shape"),
        ({"metrics": "r2_score"}, "metric = r2_score measures numbers"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_given_beside_a_file_is_the_callers(tmp_path, given, message):
    y = np.arange(12) % 2
    data = jo.data.from_arrays(np.arange(24.0).reshape(12, 2), y)
    loss = jo.losses.softmax_cross_entropy_with_integer_labels
    run = jo.fit(jo.Training(jo.models.Linear(2, 2), loss, jo.sgd(0.1), data), 1)
    run.save(tmp_path / "m.jo")
    with pytest.raises((TypeError, ValueError), match=message) as told:
        jo.load_model(tmp_path / "m.jo", **given)
    assert "damaged" not in str(told.value)
    named = jo.load_model(tmp_path / "m.jo", metrics=("accuracy", "f1_score"))
    assert set(named.evaluate(np.ones((2, 2)), y[:2])) == {"loss", "accuracy", "f1_score"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.float64(0.25), 0.25), (np.int8(3), 3), (np.str_("a"), "a"), (np.bool_(True), True),
        (np.inf, np.inf), (-np.inf, -np.inf), (b"\x00\xff", b"\x00\xff"), (None, None),
        ((1, ("b", b"c", 2.5)), (1, ("b", b"c", 2.5))), ((np.float32(np.inf),), (np.inf,)),
    ],
)  # fmt: skip
def test_what_rows_go_through_comes_back_from_json(value, wanted):
    arrays = []
    again = decoded(json.loads(json.dumps(encoded(value, arrays), allow_nan=False)), arrays)
    assert again == wanted and type(again) is type(wanted) and not arrays
    nan = decoded(json.loads(json.dumps(encoded(np.nan, []))), [])
    assert type(nan) is float and np.isnan(nan)


def test_arrays_that_are_no_numbers_are_not_written(tmp_path):
    for array, name in ((np.array([None]), "object"), (np.array(["a"]), "<U1")):
        with pytest.raises(TypeError, match=f"an array of {name} is no array of numbers"):
            write_archive(tmp_path / "file", {}, [array])
        with pytest.raises(TypeError, match="save: .* cannot be written into a file"):
            encoded({"a": array}, [])
    assert not list(tmp_path.iterdir())
