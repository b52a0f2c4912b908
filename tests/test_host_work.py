"""Work of the host between steps: in proportion to the trials, and the numbers it gave before.

No clocks: calls are counted by Python's profiler, numbers by arrays that count what they are asked.
Each law was seen to fail before the work was mended, where it grew with the square of the trials.
"""

import dataclasses
import os
import stat
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.engine import checkpoint, collectives, fitting
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.search import Study, optuna_trials, samplers, store
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.schedulers import Exploit, RungState
from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.values.labelling import labels
from jaxopt_edu.values.pytrees import same
from jaxopt_edu.values.space import Distribution, groups


def calls(f):
    """How many calls, of Python's functions and of C's, f() makes."""
    count = 0

    def heard(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(heard)
    try:
        f()
    finally:
        sys.setprofile(None)
    return count


class Counted(np.ndarray):
    """An array that counts the numbers that functions of NumPy, and tolist, get of it."""

    work = 0

    def __array_ufunc__(self, f, method, *inputs, **options):
        Counted.work += _size(inputs)
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        return getattr(f, method)(*plain, **options)

    def __array_function__(self, f, types, inputs, options):
        if f is not np.searchsorted:  # which looks at the logarithm of them
            Counted.work += _size(inputs)
        return super().__array_function__(f, types, inputs, options)

    def tolist(self):
        Counted.work += self.size
        return super().tolist()


def _size(inputs):
    return sum(x.size for x in inputs if isinstance(x, np.ndarray))


def numbers(f):
    """How many numbers of counted arrays f() asks for."""
    Counted.work = 0
    f()
    return Counted.work


def grows_in_proportion(work, n):
    """Twice as much for twice as many, to a tenth."""
    once, twice = work(n), work(2 * n)
    assert once > 0
    assert twice <= 2.2 * once, (once, twice)


# ---------------------------------------------------------------------------------- a study


def study(n, structures=1):
    batches = [
        TrialGroup(None, {"rate": np.arange(n / structures)}, {}, np.arange(k, n, structures))
        for k in range(structures)
    ]
    columns = {
        "rate": np.linspace(0, 1, n), "part": np.array([None, "a"] * (n // 2), object),
        "status": np.full(n, "finished"), "steps": np.full(n, 10),
    }  # fmt: skip
    columns = {name: x.view(Counted) for name, x in columns.items()}
    return Study(
        None, batches, columns, {}, np.array([10]), "loss", "min", "validation", 10, 0, (8,), {}
    )


def test_a_row_of_a_study_looks_at_one_row():
    def all_rows(n):
        shown = study(n)
        return numbers(lambda: [shown.row(i) for i in range(n)])

    grows_in_proportion(all_rows, 50)
    shown = study(10)
    for i in range(-10, 10):
        row = {name: x.tolist()[i] for name, x in shown.columns.items()}
        assert shown.row(i) == row
        assert [type(x) for x in shown.row(i).values()] == [type(x) for x in row.values()]
    with pytest.raises(IndexError):
        shown.row(10)


def test_the_place_of_a_trial_is_looked_up():
    def all_places(n):
        shown = study(n, structures=n // 10)
        return calls(lambda: [shown.place(i) for i in range(n)])

    grows_in_proportion(all_places, 200)
    shown = study(12, 3)
    for i in range(12):
        k, at = shown.place(i)
        assert shown.batches[k].trials[at] == i
    with pytest.raises(IndexError, match="trial = 12: there are trials 0 to 11"):
        shown.place(12)


# ---------------------------------------------------------------------------------- policies


def standing(scores, curves, structures=None):
    n = len(scores)
    of = np.zeros(n, int) if structures is None else structures
    return RungState(5, 10, scores, np.isfinite(scores), curves, of, 3)


def test_median_stopping_sorts_once():
    def judged(n):
        curves = np.random.default_rng(0).random((n, 3))
        return calls(lambda: jo.median_stopping(2, 2).judge(standing(curves[:, -1], curves), []))

    assert judged(400) <= judged(200) + 10


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 7.0, np.nan, np.inf]), min_size=1))
def test_median_stopping_judges_as_its_formula(scores):
    scores = np.array(scores)
    curves = np.stack([np.roll(scores, 1), scores], 1)
    seen, fine = np.isfinite(curves), np.isfinite(scores)
    average = np.where(seen, curves, 0).sum(1) / np.maximum(seen.sum(1), 1)
    best = np.where(seen, curves, np.inf).min(1)
    wanted = fine.copy()
    for i in np.flatnonzero(fine) if fine.sum() > 1 else ():
        wanted[i] = not best[i] > np.median(average[fine & (np.arange(len(scores)) != i)])
    now = standing(scores, curves)
    assert jo.median_stopping(2, 2).judge(now, []).active.tolist() == wanted.tolist()


def dealt(share, s, trials):
    """The brackets as they were dealt before, one call at a time."""
    given_, out = np.zeros(len(s)), []
    for i in range(1, trials + 1):
        k = int(np.argmax(share * i - given_))
        given_[k] += 1
        out.append(int(s[k]))
    return out


def test_brackets_are_dealt_once_for_all_rounds():
    etas = iter((7, 11))  # which no other test deals

    def rounds(n):
        policy = jo.hyperband(next(etas), first=10)
        return calls(lambda: [policy.brackets(k, 1300) for k in range(1, n + 1)])

    grows_in_proportion(rounds, 256)
    for eta, trials in ((2, 0), (2, 1), (3, 17), (4, 100)):
        s = np.arange(jo.hyperband(eta, 10).highest(1300), -1, -1)
        share = eta**s / (s + 1)
        found = jo.hyperband(eta, 10).brackets(trials, 1300)
        assert found.tolist() == dealt(share / share.sum(), s, trials)
        assert found.dtype.kind == "i"


def sampled(n):
    rates = np.random.default_rng(1).uniform(0.1, 1, n)
    uniform = jo.uniform(0.0, 1.0)
    return TrialGroup(None, {"rate": rates}, {}, np.arange(n).view(Counted), {"rate": uniform})


def test_a_population_finds_parents_by_search():
    def judged(n):
        scores = np.random.default_rng(0).random(n)
        return numbers(
            lambda: jo.population(5).judge(standing(scores, scores[:, None]), batches[n])
        )

    batches = {n: [sampled(n)] for n in (100, 200)}
    assert judged(200) <= 2.2 * judged(100)


def test_a_population_looks_at_each_structure_once():
    def judged(n):
        of = np.repeat(np.arange(n // 2), 2)
        scores, batches = np.random.default_rng(0).random(n), []
        for k in range(n // 2):
            batches.append(TrialGroup(None, {}, {}, np.flatnonzero(of == k).view(Counted)))
        now = standing(scores, scores[:, None], of.view(Counted))
        return numbers(lambda: jo.population(5).judge(now, batches))

    assert judged(200) <= 2.2 * max(judged(100), 1)


def moved(batch, copies):
    """The batch of a round, and the whole structure, after copies."""
    whole = batch.after(None)
    part = batch.part_of(whole)
    for copy in copies:
        part.put(copy)
    return part, whole


def test_copies_are_put_where_they_belong_by_search():
    def put(n):
        copies = [Exploit(i, i + 1, {"rate": 0.5}, {"rate": 0.1}) for i in range(n // 2)]
        batch = sampled(n)
        return numbers(lambda: moved(batch, copies))

    assert put(200) <= 2.2 * max(put(100), 1)
    batch, copies = sampled(9), [Exploit(i, 0, {"rate": i / 10}, {"rate": 0}) for i in (7, 2)]
    wanted, before = batch.columns["rate"].copy(), batch.columns["rate"].copy()
    wanted[7], wanted[2] = 0.7, 0.2
    part, whole = moved(batch, copies)
    assert part.columns["rate"].tolist() == whole.columns["rate"].tolist() == wanted.tolist()
    assert batch.columns["rate"].tolist() == before.tolist()  # what was given stays


# ---------------------------------------------------------------------------------- samplers


class Even(Distribution):
    """As many levels as are asked for, at most `most`; counts those it makes."""

    made = 0

    def __init__(self, most=10**9):
        self.most = most

    def quantile(self, u):
        return np.floor(u * self.most)

    def levels(self, n):
        Even.made += min(n, self.most)
        return np.arange(min(n, self.most))


def grid_of(*distributions):
    named = dict(zip("abcdef", distributions, strict=False))
    return SimpleNamespace(distributions=lambda: named)


def test_a_grid_finds_its_levels_by_halving():
    def made(n):
        Even.made = 0
        samplers._most_levels([grid_of(Even(3), Even())], n)
        return Even.made

    assert made(1000) <= 10 * 1000  # counted up, 56,000


@settings(max_examples=100, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from([1, 2, 3, 10, 10**9]), max_size=3), min_size=1, max_size=3),
    st.integers(1, 300),
)
def test_a_grid_has_the_most_levels_that_fit(shape, trials):
    found = [grid_of(*map(Even, row)) for row in shape]

    def points(m):
        return sum(int(np.prod([min(m, most) for most in row])) for row in shape)

    if points(1) > trials:
        with pytest.raises(ValueError, match="this grid has at least"):
            samplers._most_levels(found, trials)
        return
    m = samplers._most_levels(found, trials)
    assert 1 <= m <= trials and points(m) <= trials
    assert m == trials or points(m + 1) > trials


def test_a_grid_of_many_numbers_is_too_large_and_not_empty():
    """2^64 points are no 0 points."""
    assert samplers._most_levels([grid_of(*[Even()] * 6)], 2**16) == 6


def test_parameters_of_optuna_look_at_each_structure_once():
    def named(n):
        space = jo.one_of(*(jo.sgd(jo.log_uniform(1e-4, k + 1.0)) for k in range(n)))
        found = groups(space)
        return calls(lambda: optuna_trials.parameter_names(found))

    pytest.importorskip("optuna")
    grows_in_proportion(named, 20)
    space = jo.one_of(jo.sgd(jo.uniform(0.0, 1.0)), jo.adam(jo.uniform(0.0, 2.0)))
    names = list(optuna_trials.parameter_names(groups(space)).values())
    assert names == ["structure", "learning_rate [sgd]", "learning_rate [adam]"]


# ------------------------------------------------------------------------------------ labels


def test_labels_compare_what_may_be_equal():
    def named(n):
        models = [jo.models.MLP((4, k + 1, 3)) for k in range(n)]
        return calls(lambda: labels(models))

    grows_in_proportion(named, 20)


VALUES = [
    None, True, 1, 1.0, "1", (1, 2), (1, 2.0), [1, 2], jo.sgd(0.1), jo.sgd(0.1), jo.sgd(0.2),
    jo.sgd(np.float32(0.1)), jo.sgd(np.array([0.1])), jo.sgd(np.array([0.1])), abs, len, np.nan,
    jo.sgd(jo.uniform(0.0, 1.0)), jo.sgd(jo.uniform(0.0, 1.0)), jo.sgd(jo.uniform(0.0, 2.0)),
    jo.one_of(jo.sgd(0.1), jo.adam(0.1)), jo.one_of(jo.sgd(0.1), jo.adam(0.1)), np.float64("nan"),
    np.float64("nan"), {"a": 1}, {"a": 1}, {"a": 2}, {1: 1, "a": 2},
    jo.masked(jo.sgd(0.1), {"w": True}),
    jo.masked(jo.sgd(0.1), {"w": True}), jo.models.MLP((4, 8, 3)), jo.models.MLP((4, 8, 3)),
]  # fmt: skip


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.integers(0, len(VALUES) - 1), min_size=1, max_size=8))
def test_equal_values_have_the_label_of_the_first(places):
    def like(x, y):
        try:
            return same(x, y)
        except (TypeError, ValueError):
            return False

    values = [VALUES[i] for i in places]
    first = [next(k for k, y in enumerate(values) if like(x, y)) for x in values]
    told = labels(values)
    for i, x in enumerate(told):
        for k, y in enumerate(told):
            assert (first[i] == first[k]) == (str(x) == str(y)), (values[i], values[k], told)


# ------------------------------------------------------------------------- record and store


def record(n, evaluations=4, moves=()):
    draw = np.random.default_rng(0)
    stops = tuple(range(1, evaluations + 1))
    made = Record(n, 2, EvalPlan(stops, "validation", ("validation",), ("loss",)), "tail")
    made.arrays["curve/loss"] = draw.random((n, 2, evaluations))
    made.arrays["final/validation_loss"] = draw.random((n, 2))
    made.arrays["steps"][:] = draw.integers(1, evaluations + 1, (n, 2))
    made.arrays["status"][draw.random((n, 2)) < 0.1] = Status.LOSS_NOT_FINITE
    made.arrays["going"][:] = draw.random(n) < 0.9
    made.moves = list(moves)
    return made


def test_a_sampler_is_told_of_its_own_trials():
    """Each round costs what it has, not what there was before."""

    def told(n):
        counted = record(n)
        counted.arrays = {name: x.view(Counted) for name, x in counted.arrays.items()}
        asking = SimpleNamespace(tell=lambda *scores, **more: None)
        plan = SimpleNamespace(asking=asking)
        course = SimpleNamespace(plan=plan, record=counted, settings=counted.settings)

        def rounds():
            for first in range(0, n, 8):
                course.asked = first + 8
                SweepDriver._tell(course, [TrialGroup(None, {}, {}, np.arange(first, first + 8))])

        return numbers(rounds)

    grows_in_proportion(told, 64)


def test_what_is_known_of_some_trials_is_a_part_of_what_is_known_of_all():
    moves = [(2, Exploit(1, 3, {}, {})), (3, Exploit(0, 1, {}, {})), (1, Exploit(9, 8, {}, {}))]
    made = record(12, moves=moves)  # of two rounds, 0 to 5 and 6 to 11
    for of in ("lanes", "finals", "ranked", "means", "ends"):
        whole = getattr(made.results(), of)
        for first, end in ((0, 6), (6, 12)):
            for name, x in getattr(made.results(first, end), of).items():
                np.testing.assert_array_equal(x, whole[name][first:end])


def test_fates_are_those_of_the_ends():
    made = record(40)
    made.arrays["going"][::3] = False
    known = made.results(0, 30)
    status = known.ends["status"]
    assert 0 < known.dead.sum() < 30 > known.stopped.sum() > 0
    np.testing.assert_array_equal(known.dead, status == "diverged")
    np.testing.assert_array_equal(known.stopped, status == "stopped")


class Hashed(float):
    """A number that counts how often its hash is asked for."""

    asked = 0

    def __hash__(self):
        Hashed.asked += 1
        return float.__hash__(self)


def test_lanes_that_are_read_bring_their_segments_once():
    def read(n):
        made = record(n)
        tiles = [SimpleNamespace(segments=[(i,) * 9, (i + 0.5,) * 9]) for i in range(n)]
        made.segments = [(Hashed(i),) * 9 for i in range(n)]  # half of them are known
        Hashed.asked = 0
        made.put_segments(tiles)
        assert len(made.segments) == 2 * n == len(set(made.segments))
        assert all(tile.n_recorded == 2 for tile in tiles)
        return Hashed.asked

    grows_in_proportion(read, 10)


@dataclasses.dataclass(frozen=True)
class Learner:
    """A sampler that asks for four trials at a time."""

    def start(self, found, trials, seed, mode):
        axes = samplers.axes(found)
        cube = np.random.default_rng(seed).random((len(axes), trials))
        columns = {axis: axis[1].quantile(u) for axis, u in zip(axes, cube, strict=True)}
        return Four(columns, trials)


class Four(samplers._Given):
    def __init__(self, columns, total):
        super().__init__(columns, total)
        self.batch = 4


SPACE = jo.Training(
    model=jo.models.Linear(1), loss=jo.losses.squared_error,
    optimizer=jo.sgd(jo.log_uniform(1e-3, 1e-1)), data=jo.data.load("linear"),
)  # fmt: skip


def swept(trials, store=None, **more):
    return jo.sweep(
        SPACE, trials, steps=20, eval_every=1, sampler=Learner(), store=store, tile=4, **more
    )


def test_a_store_writes_as_much_as_there_is(tmp_path, monkeypatch):
    """Not all that is known at every round."""
    written, fsync = [0], os.fsync

    def counted(number):
        found = os.fstat(number)
        written[0] += found.st_size if stat.S_ISREG(found.st_mode) else 0
        fsync(number)

    monkeypatch.setattr(os, "fsync", counted)
    monkeypatch.setattr(store, "LANES_EVERY", np.inf)  # no file by the clock

    def bytes_of(trials):
        written[0] = 0
        swept(trials, tmp_path / str(trials))
        return written[0]

    grows_in_proportion(bytes_of, 64)


def test_rounds_that_are_over_are_filed_until_all_are(tmp_path, monkeypatch):
    """An interrupted sweep goes on from them, to the same study; a finished one is one file."""
    import sweeps

    from jaxopt_edu.search import driver as course

    def interrupted(tiles, settings, until, **more):
        for tile in run_tiles(tiles, settings, until, **more):
            yield tile
            rounds.append(tile.t)
            if rounds.count(settings.steps) == 3:
                raise KeyboardInterrupt

    rounds, run_tiles = [], course.run_tiles
    monkeypatch.setattr(course, "run_tiles", interrupted)
    with pytest.raises(jo.SweepInterrupted) as stop:
        swept(20, tmp_path / "store")
    monkeypatch.undo()
    files = sorted(path.name for path in (tmp_path / "store" / "rounds").iterdir())
    assert files == ["00000.npz", "00001.npz"]
    sweeps.same(jo.load_study(tmp_path / "store"), stop.value.study)
    whole = swept(20)
    sweeps.same(swept(20, tmp_path / "store"), whole)
    sweeps.same(jo.load_study(tmp_path / "store"), whole)
    assert not (tmp_path / "store" / "rounds").exists()


def test_processes_share_what_is_new(monkeypatch):
    """At each stage a round's rows and segments, not those of the rounds before."""

    def shared(n):
        sent = []
        monkeypatch.setattr(collectives, "merge_owned", lambda x, owned: sent.append(x.size) or x)
        monkeypatch.setattr(
            collectives, "all_rows", lambda rows: sent.append(9 * len(rows)) or rows
        )
        made = record(n)
        for first in range(0, n, 8):
            made.segments += [(first,) * 9]
            made.share([SimpleNamespace(trials=np.arange(first, first + 8), repeat=0)], first + 8)
            made.over = first + 8
        assert made.segments == [(first,) * 9 for first in range(0, n, 8)]
        return sum(sent)

    grows_in_proportion(shared, 64)


def test_data_are_not_hashed_where_nothing_is_stored(monkeypatch):
    """Neither is a study's space: what they are is asked by stores, and by jobs of processes."""

    def asked(*given):
        raise AssertionError("a fingerprint")

    monkeypatch.setattr(checkpoint, "fingerprints", asked)
    monkeypatch.setattr(fitting, "fingerprints", asked)
    jo.sweep(SPACE, 2, steps=2, tile=2)
    x, y = (np.asarray(z) for z in SPACE.data.train[:2])
    one = dataclasses.replace(SPACE, batch_size=None)
    one = jo.replace(one, learning_rate=0.1)
    jo.fit(one, 2, batches=[(x[:8], y[:8])])
