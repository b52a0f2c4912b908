"""Raw rows in, answers in the user's own terms out: by name, and never prepared twice."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.data.columns import Columns
from jaxopt_edu.storage import saved

SOFTMAX = jo.losses.softmax_cross_entropy_with_integer_labels
SIGMOID = jo.losses.sigmoid_binary_cross_entropy
RANDOM = np.random.default_rng(0)
N = 120
FRAME = pd.DataFrame(
    {
        "age": RANDOM.normal(40, 10, N),
        "city": RANDOM.choice(["bern", "oslo", "rome"], N),
        "pets": RANDOM.integers(0, 5, N),
    }
)
OLD = (FRAME.age + 10 * (FRAME.city == "oslo")).to_numpy() > 42
PREPARE = (jo.data.on(["city"], "one_hot"), "standardize")


def data(y, **options):
    return jo.data.from_arrays(FRAME, y, prepare=PREPARE, **options)


def trained(y, loss, outputs, **options):
    experiment = jo.Training(
        jo.models.Linear(5, outputs), loss, jo.adam(0.1), data(y, **options), metrics=()
    )
    return jo.fit(experiment, steps=60)


WORDS = np.where(OLD, "old", "young")
RUN = trained(WORDS, SOFTMAX, 2)


# ------------------------------------------------------------------------------ the user's terms

ANSWERS = {
    "strings": (WORDS, SOFTMAX, 2, {}),
    "bools": (OLD, SIGMOID, 1, {}),
    "numbers": (OLD.astype(int), SIGMOID, 1, {}),
    "numbers with names": (OLD.astype(int), SOFTMAX, 2, {"targets": ("no", "yes")}),
    "large numbers": (np.where(OLD, 10**12, 7), SOFTMAX, 2, {}),
    "focal": (WORDS, jo.losses.softmax_focal_loss_with_integer_labels, 2, {}),
    "weighted": (WORDS, jo.losses.class_weighted(SIGMOID, (1, 2)), 1, {}),
    "hinge of classes": (WORDS, jo.losses.multiclass_hinge_loss, 2, {}),
    "hinge": (np.where(OLD, 1.0, -1.0), jo.losses.hinge_loss, 1, {}),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_answers_are_labels_as_they_were_given(what):
    y, loss, outputs, options = ANSWERS[what]
    run = trained(y, loss, outputs, **options)
    found = run.predict(FRAME)
    assert np.mean(found == y) > 0.93
    assert type(found.tolist()[0]) is type(y.tolist()[0])
    np.testing.assert_array_equal(run.predict(FRAME.iloc[3:4]), found[3:4])
    if "hinge" in what:
        with pytest.raises(ValueError, match="predict_proba: loss = .*hinge_loss.*no probabil"):
            run.predict_proba(FRAME)
        return
    p = run.predict_proba(FRAME)
    targets = run.experiment.data.targets
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert p.shape == (N, 2) and targets == tuple(map(str, options.get("targets", np.unique(y))))
    np.testing.assert_array_equal(np.unique(y)[p.argmax(1)], found)


def test_numbers_are_numbers():
    y = FRAME.age.to_numpy() * 2
    run = trained(y, jo.losses.squared_error, 1)
    raw = run.apply(run.experiment.data.prepare(FRAME))
    np.testing.assert_array_equal(run.predict(FRAME), raw)
    with pytest.raises(ValueError, match="squared_error .*gives no probabilities"):
        run.predict_proba(FRAME)
    two = trained(np.stack([y, -y], 1), jo.losses.squared_error, 2)
    assert two.predict(FRAME).shape == (N, 2)


def test_links_that_do_not_fit_the_data_are_told():
    y = FRAME.age.to_numpy() * 2
    run = trained(y, jo.losses.squared_error, 1)
    with pytest.raises(ValueError, match="link = 'argmax' gives classes, but the data have num"):
        run.predict(FRAME, link="argmax")
    with pytest.raises(TypeError, match="predict_proba: link: wanted the name of one"):
        RUN.predict_proba(FRAME, link=lambda x: x)
    with pytest.raises(ValueError, match=r"model gives \(\d+, 2\), the data have 1 targets"):
        trained(y, jo.losses.squared_error, 1).predict_proba(FRAME, link="sigmoid")


def test_a_loss_of_ones_own_wants_a_link():
    run = trained(WORDS, lambda p, y: SOFTMAX(p, y), 2)
    for answer in (run.predict, run.predict_proba):
        with pytest.raises(ValueError, match="does not say what the outputs.*give link="):
            answer(FRAME)
    by_name = run.predict(FRAME, link="softmax")
    np.testing.assert_array_equal(by_name, run.predict(FRAME, link=lambda x: x.argmax(1)))
    assert np.mean(by_name == WORDS) > 0.93
    assert run.predict_proba(FRAME, link="softmax").shape == (N, 2)
    with pytest.raises(ValueError, match="link gives float32 of shape.*wanted a class number"):
        run.predict(FRAME, link=lambda x: x)
    with pytest.raises(ValueError, match="beyond 0 to 1"):
        run.predict(FRAME, link=lambda x: x.argmax(1) + 1)

    def numeric(p, y):
        return jo.losses.squared_error(p, y)

    numeric.link = "identity"
    squared = trained(OLD, numeric, 1)
    with pytest.raises(ValueError, match="numeric leaves outputs as numbers.*give link="):
        squared.predict(FRAME)
    assert np.mean(squared.predict(FRAME, link=lambda x: x > 0.5) == OLD) > 0.9


def test_outputs_beyond_the_classes_are_no_answer():
    run = trained(WORDS, SOFTMAX, 4)
    assert set(run.predict(FRAME)) == {"old", "young"}
    assert run.predict_proba(FRAME).shape == (N, 2)


def test_a_model_that_diverged_says_so():
    state = RUN.state._replace(params=jo.tree.scale(np.nan, RUN.params))
    run = dataclasses.replace(RUN, state=state)
    for answer in (run.predict, run.predict_proba):
        with pytest.raises(ValueError, match="gives NaN for row 0"):
            answer(FRAME)


# ------------------------------------------------------------------------------- rows by name


@given(st.permutations(list(FRAME)), st.integers(0, N - 1), st.integers(1, 4))
def test_columns_stand_in_any_order(order, first, rows):
    some = FRAME.iloc[first : first + rows]
    want = np.asarray(RUN.experiment.data.prepare(some))
    records = some[order].to_dict("records")
    tables = [some[order], records, some[order].to_dict("list"), some[order].to_records(False)]
    for given_as in tables:
        np.testing.assert_array_equal(RUN.experiment.data.prepare(given_as), want)
    np.testing.assert_array_equal(RUN.experiment.data.prepare(some[order].iloc[0]), want[:1])


@given(
    st.sets(st.sampled_from(list(FRAME))), st.sets(st.sampled_from(["size", "Age", "x0", "agee"]))
)
def test_missing_and_unknown_columns_are_named(dropped, added):
    table = FRAME.iloc[:2].drop(columns=list(dropped)).assign(**dict.fromkeys(added, 1.0))
    if not dropped and not added:
        assert len(RUN.predict(table)) == 2
        return
    if not len(table.columns):
        return
    with pytest.raises(ValueError) as found:
        RUN.predict(table)
    assert all(repr(name) in str(found.value) for name in dropped | added)


@given(
    st.lists(st.text("abc xyz", min_size=1, max_size=3), min_size=1, max_size=5, unique=True),
    st.data(),
)
def test_tables_of_any_names_come_in_their_order(names, draw):
    x = np.arange(3.0 * len(names)).reshape(3, -1)
    columns = Columns.of(pd.DataFrame(x, columns=names), x, (), False)
    order = draw.draw(st.permutations(names))
    table = pd.DataFrame(x, columns=names)[list(order)]
    np.testing.assert_array_equal(columns.rows(table), x)
    unknown = draw.draw(st.text("abc xyz", min_size=1, max_size=3).filter(lambda n: n not in names))
    for wrong in (table.assign(**{unknown: 1.0}), table.rename(columns={names[0]: unknown})):
        with pytest.raises(ValueError, match="columns"):
            columns.rows(wrong)
    for width in {len(names) + 1, 1 if len(names) > 1 else 2}:
        with pytest.raises(ValueError, match=f"has {width} columns: wanted {len(names)}"):
            columns.rows(np.ones((2, width)))


WRONG_ROWS = {
    "too few": ([[30.0, "oslo"]], ValueError, "rows has 2 columns: wanted 3"),
    "flat": ([30.0, "oslo", 2], ValueError, r"shape \(3,\): wanted \(rows, 3\); one row is x\[N"),
    "ragged": ([[30.0, "oslo", 2], [1.0]], ValueError, "has 3 values in row 0, 1 in row 1"),
    "other records": (
        [{"age": 1, "city": "a", "pets": 2}, {"age": 1, "pets": 2}],
        ValueError,
        "row 1 and row 0 have other columns: 'city'",
    ),
    "columns of other lengths": (
        {"age": [1, 2], "city": ["a"], "pets": [1]},
        ValueError,
        "columns of shapes 'age'",
    ),
    "missing": (
        FRAME.assign(age=np.nan)[:2],
        ValueError,
        ".NaN. in row 0, column 'age'",
    ),
    "text for numbers": (
        FRAME.assign(pets="2"),
        TypeError,
        "'pets' holds strings .'2' in row 0.; wanted n",
    ),
    "numbers for text": (
        FRAME.assign(city=1),
        TypeError,
        "'city' holds numbers .1.0 in row 0.; wanted s",
    ),
    "twice": (pd.concat([FRAME, FRAME.age], axis=1), ValueError, "given twice: 'age'"),
    "no part": ("tset", ValueError, "there is no part 'tset'; did you mean 'test'"),
}


@pytest.mark.parametrize("what", WRONG_ROWS)
def test_rows_that_are_wrong_are_refused(what):
    rows, error, words = WRONG_ROWS[what]
    for answer in (RUN.predict, RUN.predict_proba):
        with pytest.raises(error, match=words):
            answer(rows)


def test_rows_without_names_are_counted():
    plain = jo.data.from_arrays(FRAME[["age", "pets"]].to_numpy(), OLD)
    with pytest.raises(ValueError, match="x has 1 columns: wanted 2"):  # not one for both
        plain.prepare(np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"x has shape \(3, 1\): wanted \(rows, 2\)"):
        plain.source.fitted.apply(np.ones((3, 1)))
    two = FRAME[["age", "pets"]].rename(columns={"age": "x1", "pets": "x0"})
    np.testing.assert_array_equal(plain.prepare(two), plain.prepare(two[["x0", "x1"]].to_numpy()))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_ready_made_parts_are_read_by_name(part):
    other = FRAME[["pets", "age", "city"]]
    as_it_is = data(WORDS, **{part: (FRAME, WORDS)})
    again = data(WORDS, **{part: (other, WORDS)})
    np.testing.assert_array_equal(getattr(again, part).x, getattr(as_it_is, part).x)
    with pytest.raises(ValueError, match=f"{part} x: columns missing: 'age'"):
        data(WORDS, **{part: (other.drop(columns="age"), WORDS)})


@pytest.mark.parametrize("step", ["standardize", "min_max", "impute"])
def test_a_preparation_used_alone_reads_by_name(step):
    table = FRAME[["age", "pets"]]
    for fitted in (
        jo.data.pipeline(step).fit(table),
        jo.data.on(["age"], step).fit(table),
        jo.data.select(["pets", "age"]).fit(table),
    ):
        want = fitted.apply(table)
        np.testing.assert_array_equal(fitted.apply(table[["pets", "age"]]), want)
        with pytest.raises(ValueError, match="missing: 'age'"):
            fitted.apply(table[["pets"]])
        with pytest.raises(ValueError, match="wanted"):
            fitted.apply(np.ones((2, 3)))


def test_unknown_categories_are_as_the_preparation_says():
    new = FRAME.assign(city="bonn")
    ignored = np.asarray(RUN.experiment.data.prepare(new))
    assert np.ptp(ignored[:, 1:4], axis=0).max() == 0
    strict = jo.data.on(["city"], jo.data.one_hot(unknown="error"))
    told = jo.data.from_arrays(FRAME, WORDS, prepare=(strict, "standardize"))
    with pytest.raises(
        ValueError,
        match="column 'city' holds an unknown category .'bonn' in",
    ):
        told.prepare(new)
    np.testing.assert_array_equal(told.prepare(FRAME), RUN.experiment.data.prepare(FRAME))
    with pytest.raises(ValueError, match="unknown = 'warn' is unknown"):
        jo.data.one_hot("warn")


# ------------------------------------------------------------------------- columns chosen by name


def test_on_finds_columns_by_name_also_after_other_steps():
    steps = jo.data.pipeline(
        jo.data.on(["city"], "one_hot"), jo.data.on(["city=oslo", 0, "pets"], "min_max")
    )
    told = jo.data.from_arrays(FRAME, WORDS, prepare=steps)
    by_position = jo.data.pipeline(jo.data.on([1], "one_hot"), jo.data.on([2, 0, 4], "min_max"))
    other = jo.data.from_arrays(FRAME, WORDS, prepare=by_position)
    np.testing.assert_array_equal(told.train.x, other.train.x)
    assert told.features == other.features
    np.testing.assert_array_equal(told.prepare(FRAME), other.prepare(FRAME))
    kept = jo.data.from_arrays(FRAME, WORDS, prepare=jo.data.select(["pets", "age"]))
    assert kept.features == ("pets", "age")


WRONG_NAMES = {
    "unknown": (["town"], ValueError, "on: there is no column 'town'; there are: age, city, pets"),
    "misspelt": (["ctiy"], ValueError, "did you mean 'city'"),
    "position": ([9], ValueError, "on: column 9 of a table with 3 columns"),
    "flag": ([True, False], TypeError, "column True: wanted a name or a position"),
    "half": ([0.5], TypeError, "column 0.5: wanted a name or a position"),
}


@pytest.mark.parametrize("what", WRONG_NAMES)
def test_columns_that_are_not_there_are_named(what):
    columns, error, words = WRONG_NAMES[what]
    with pytest.raises(error, match=words):
        jo.data.from_arrays(FRAME, WORDS, prepare=jo.data.on(columns, "one_hot"))
    with pytest.raises(ValueError, match="columns of the table have no names"):
        jo.data.on(["city"], "one_hot").fit(FRAME.to_numpy())


# ------------------------------------------------------------------------ prepared, or not


def test_rows_of_the_data_are_never_prepared_twice():
    part = RUN.experiment.data.test
    want = RUN.predict("test")
    order = np.random.default_rng(0).permutation(len(want))
    known = {"x": part.x, "shuffled": part.x[order], "float64": part.x.astype(float)}
    for how, rows in known.items():
        np.testing.assert_array_equal(RUN.predict(rows), want[order] if how == "shuffled" else want)
    np.testing.assert_array_equal(
        RUN.predict(RUN.experiment.data.prepare(FRAME)), RUN.predict(FRAME)
    )
    rows = np.asarray(part.x)
    forgot = [rows, rows[order], rows[2:5], rows.astype(float), rows.tolist(), jnp.asarray(rows)]
    forgot += [rows.astype(np.float16), jnp.asarray(rows, jnp.bfloat16), pd.DataFrame(rows)]
    forgot += [pd.DataFrame(rows, columns=RUN.experiment.data.features)]
    for given_as in forgot:
        for answer in (RUN.predict, RUN.predict_proba, lambda x: RUN.evaluate(x, WORDS[:1])):
            with pytest.raises(ValueError, match=r"run.apply\(x\).*run.predict\('test'\)"):
                answer(given_as)
    np.testing.assert_array_equal(RUN.predict(rows, prepared=True), want)
    table = pd.DataFrame(rows, columns=RUN.experiment.data.features).iloc[:, ::-1]
    np.testing.assert_array_equal(RUN.predict(table, prepared=True), want)
    with pytest.raises(ValueError, match="computed from prepared rows"):
        RUN.predict(part.x + 0.1)
    with pytest.raises(ValueError, match="prepared for other data"):
        RUN.predict(data(WORDS, seed=1).test.x)


def test_parts_by_name_score_as_they_do():
    for name in ("train", "validation", "test"):
        y = np.array(["old", "young"])[getattr(RUN.experiment.data, name).y]
        accuracy = np.mean(RUN.predict(name) == y)
        rows = getattr(RUN.experiment.data, name).x
        assert RUN.evaluate(rows, y)["loss"] == pytest.approx(RUN.evaluate(name)["loss"], rel=1e-5)
        assert accuracy > 0.9


def test_evaluate_takes_rows_with_their_labels():
    assert set(RUN.evaluate(FRAME, WORDS)) == {"loss"}
    for labels, words in ((WORDS[:3], "120 rows and 3 labels"), (OLD, "True|False")):
        with pytest.raises(ValueError, match=words):
            RUN.evaluate(FRAME, labels)
    with pytest.raises(ValueError, match="unknown split 'tst'; did you mean 'test'"):
        RUN.evaluate("tst")


def test_apply_is_pure():
    x = RUN.experiment.data.test.x
    want = RUN.apply(x)
    np.testing.assert_allclose(jax.jit(RUN.apply)(x), want, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda r: RUN.apply(r[None])[0])(x), want, rtol=1e-5)
    slope = jax.grad(lambda x: RUN.apply(x)[:, 0].sum())(jnp.asarray(x))
    np.testing.assert_allclose(slope[0], RUN.params["w"][0], rtol=1e-6)


# --------------------------------------------------------------------------- other experiments


@jo.pytree
class Own(jo.Experiment):
    scale: float = 1.0

    def init(self, key):
        return jnp.zeros(2)

    def step(self, state, t, key):
        return state, jo.Step()

    def score(self, state, split):
        return {"loss": jnp.sum(state)}


def test_experiments_that_are_no_model_are_refused_by_name():
    run = jo.fit(Own(), steps=1)
    for method in (run.predict, run.predict_proba):
        name = method.__name__
        with pytest.raises(TypeError, match=f"{name}: Own has no model, no loss, no data"):
            method([[1.0]])
    with pytest.raises(TypeError, match="apply: Own has no model"):
        run.apply([[1.0]])
    with pytest.raises(TypeError, match="save: Own has no model"):
        run.save("nowhere/model.jo")


def test_private_and_federated_runs_answer_too():
    told = RUN.experiment.data
    parts = {"model": jo.models.Linear(5, 2), "loss": SOFTMAX, "data": told, "metrics": ()}
    private = jo.privacy.PrivateTraining(
        **parts, optimizer=jo.sgd(0.5), batch_size=16, max_norm=1.0, noise_multiplier=0.1
    )
    clients = jo.federated.dirichlet_split(told.train.y, 4, alpha=1.0)
    federated = jo.federated.fed_avg(**parts, clients=clients, optimizer=jo.sgd(0.1))
    for experiment in (private, federated):
        run = dataclasses.replace(RUN, experiment=experiment)
        np.testing.assert_array_equal(run.predict(FRAME), RUN.predict(FRAME))
        assert run.evaluate(FRAME, WORDS) == RUN.evaluate(FRAME, WORDS)


def test_a_run_on_a_fold_answers_as_that_fold():
    check_on_a_fold(dataclasses.replace(RUN, experiment=RUN.experiment.folded(2).fold(1)))


@pytest.mark.slow
def test_what_others_trained_answers_too():
    space = dataclasses.replace(RUN.experiment, optimizer=jo.adam(jo.log_uniform(0.01, 0.1)))
    study = jo.sweep(space, trials=2, steps=10, folds=2, tile=2)
    run = study.rerun(1, repeat=1)
    scored = check_on_a_fold(run)
    assert scored["loss"] == pytest.approx(run.evaluate("validation")["loss"], rel=1e-5)
    best = jo.fit(jo.sweep(space, trials=2, steps=10, tile=2).best, steps=60)
    assert np.mean(best.predict(FRAME) == WORDS) > 0.9
    clients = jo.federated.dirichlet_split(run.experiment.data.train.first()[1], 4, alpha=1.0)
    federated = jo.federated.fed_avg(
        model=jo.models.Linear(5, 2),
        loss=SOFTMAX,
        data=RUN.experiment.data,
        clients=clients,
        optimizer=jo.sgd(0.3),
    )
    assert np.mean(jo.fit(federated, steps=20).predict(FRAME) == WORDS) > 0.9


def check_on_a_fold(run):
    x, y, _ = run.experiment.data.validation.first()
    words = np.array(["old", "young"])[np.asarray(y)]
    assert np.mean(run.predict("validation") == words) > 0.8
    with pytest.raises(ValueError, match="run's own data"):
        run.predict(x)
    return run.evaluate(np.asarray(x), words, prepared=True)


SMALL = np.random.default_rng(5).integers(0, 3, (40, 3))


@pytest.mark.parametrize("table", [np.asarray, lambda x: pd.DataFrame(x, columns=["a", "b", "c"])])
@pytest.mark.parametrize("prepare", ["min_max", jo.data.select([2, 1, 0])])
def test_raw_rows_that_occur_among_the_prepared_ones_are_raw(prepare, table):
    d = jo.data.from_arrays(table(SMALL), np.arange(40) % 2, prepare=prepare)
    experiment = dataclasses.replace(RUN.experiment, data=d, model=jo.models.Linear(3, 2))
    for of in (experiment, experiment.folded(2).fold(1)):
        run = jo.fit(of, steps=1)
        rows = table(SMALL[:9].astype(float))
        np.testing.assert_array_equal(run.predict(rows), run.predict(of.data.prepare(rows)))
        rows = table(np.ones((2, 3)) * SMALL[[0]])
        np.testing.assert_array_equal(run.predict(rows), run.predict(of.data.prepare(rows)))


def test_rows_found_among_the_prepared_ones_only_are_refused():
    d = jo.data.from_arrays(SMALL, np.arange(40) % 2, prepare="min_max")
    run = jo.fit(dataclasses.replace(RUN.experiment, data=d, model=jo.models.Linear(3, 2)), steps=1)
    with pytest.raises(ValueError, match="run's own data, which are prepared already"):
        run.predict(np.array(d.test.x))


# -------------------------------------------------------------------- class numbers, or labels

NAMES = {
    "from 1": np.array([1, 2]), "swapped": np.array([-1, 0]), "strings": np.array(["no", "yes"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
def test_class_numbers_that_data_hand_out_are_known(kind):
    labels = NAMES[kind][OLD.astype(int)]
    run = jo.fit(dataclasses.replace(RUN.experiment, data=data(labels)), steps=5)
    fold = jo.fit(run.experiment.folded(2).fold(1), steps=5)
    for of in (run, fold, saved.trained(run.experiment, run.state, "evaluate")):
        d = fold.experiment.data if of is fold else run.experiment.data
        for part in (d.train, d.test):
            want = of.evaluate(part.x, np.asarray(NAMES[kind][part.y]).astype(object))
            for take in (lambda a: a, lambda a: a[::2], lambda a: np.concatenate([a, a])):
                x, y = take(part.x), take(part.y)
                got = of.evaluate(x, y)
                assert got == of.evaluate(x, y.astype(np.int64))
                given = NAMES[kind][np.asarray(y)].astype(object)
                assert got == of.evaluate(x, given)
            assert of.evaluate(part.x, part.y) == want
        assert of.evaluate(FRAME, labels) == of.evaluate(FRAME, labels.tolist())
        assert of.evaluate(d.test.x[:1], d.test.y[:1])["loss"] >= 0
        for plain in (np.asarray, jnp.asarray, lambda y: np.minimum(y, 0), lambda y: y.tolist()):
            with pytest.raises(ValueError, match=r"class numbers from 0, or labels.*'test'"):
                of.evaluate(d.test.x, plain(d.test.y))
        changed = d.test.y.copy()
        changed[:] = 1
        with pytest.raises(ValueError, match="computed from class numbers"):
            of.evaluate(d.test.x, changed)
    with pytest.raises(ValueError, match="class numbers of other data"):
        run.evaluate(FRAME, data(np.array(["a", "b"])[OLD.astype(int)]).pool.y)


def test_labels_that_are_their_own_numbers_need_no_mark():
    d = data(OLD.astype(int))
    assert type(d.test.y) is np.ndarray
    run = jo.fit(dataclasses.replace(RUN.experiment, data=d), steps=1)
    assert run.evaluate(d.test.x, d.test.y) == run.evaluate(d.test.x, d.test.y.tolist())


# ----------------------------------------------------------------------- what is no such argument


@pytest.mark.parametrize("prepared", ["False", 0, "yes", np.ones(2)])
def test_prepared_is_true_false_or_none(prepared):
    for call in (
        lambda: RUN.predict(FRAME, prepared=prepared),
        lambda: RUN.predict("test", prepared=prepared),
        lambda: RUN.predict_proba(FRAME, prepared=prepared),
        lambda: RUN.evaluate(FRAME, WORDS, prepared=prepared),
    ):
        with pytest.raises(TypeError, match="prepared = .*: wanted True, False or None"):
            call()
    assert RUN.evaluate(FRAME, WORDS, prepared=np.False_) == RUN.evaluate(FRAME, WORDS)


@pytest.mark.parametrize("y", [[1.0, np.nan, 2.0], [1.0, np.inf, 2.0], [1.0, None, 2.0]])
def test_labels_that_are_missing_are_refused_by_their_row(y):
    run = trained(FRAME.age.to_numpy(), jo.losses.squared_error, 1)
    with pytest.raises(ValueError, match="labels hold.*row 1|row 1.*"):
        run.evaluate(FRAME[:3], y)
    with pytest.raises(ValueError, match="labels|label"):
        RUN.evaluate(FRAME[:3], y)
