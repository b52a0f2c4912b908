"""What the README and the guides say of every, never or none is what a test checks."""

import functools
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxopt_edu as jo
from jaxopt_edu.search.trials import plan

ROOT = Path(__file__).parent.parent
PAGES_ON_ADDING = ("index", "optimizer", "loss", "data_set")  # a chapter: test_chapters.py
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("notions", "benchmarks")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *(ROOT / "docs" / "contributing" / f"{name}.md" for name in PAGES_ON_ADDING),
]
WORDS = re.compile(r"\b([Ee]very|[Nn]ever|none)\b(?!=)")  # None and every= are Python
CLAIMS = {  # a part of each line with such a word -> where it is checked
    "every hyperparameter is a leaf": "test_optimizer_laws.py::test_every_number_maps",
    "every pixel is a training": "test_claims.py::test_the_picture_is_of_4608_trainings",
    "every trial on each fold": "test_rungs.py::test_folds_and_seeds_are_lanes_of_a_trial",
    "every record is drawn on its own": "test_privacy.py::test_poisson_sampling_draws_each",
    "never all in memory": "test_parallel.py::test_a_stream_is_read_ahead_and_no_further",
    "none imports a later one": "test_house.py::test_the_order_that_is_printed_is",
    "every recipe of `optax.schedules`": "test_schedules.py::test_every_schedule_of_optax_is",
    "checked, never broadcast": "test_losses.py::test_shapes_that_differ_are_an_error",
    "hold every recipe to it": "test_optimizer_oracle.py::test_equals_optax",
    "XLA then copies every buffer": "test_claims.py::test_buffers_in_crossed_order_are_copied",
    "every trial alone": "test_sweep.py::test_the_best_is_an_experiment_that_gives",
    "loading it runs none": "test_model_file.py::test_strange_files_are_refused_by_name",
    "a class of your own is never": "test_model_file.py::test_what_is_the_users_own_is_asked_for",
    "every category and label": "test_model_file.py::test_labels_names_and_categories_come_back",
    "every formula that differs": "test_learn_rules.py::test_mistakes_name_their_line",
    "Where none does": "test_learn_rules.py::test_an_unknown_mistake_says_which_value_differs",
    "every row once an epoch": "test_learn_functions.py::test_mistakes_in_batches",
    "every position is looked up": "test_learn_pages.py::test_a_slider_looks_up_its_position",
    "formula of every optimizer": "test_formulas.py::test_every_public_formula_is_run_or_listed",
    "every trial has the score": "test_estimators_table.py::test_a_sweep_is_a_loop_of_fits",
    "by every number": "test_estimators_table.py::test_hypergradients_are_differences_of_fits",
    "same at every step": "test_claims.py::test_the_key_is_the_same_at_every_step_and_for_every",
}


def sentences():
    """The lines of the README, the guides and the other pages with one of the words."""
    lines = [line for page in PAGES for line in page.read_text().splitlines()]
    return [line for line in lines if WORDS.search(line)]


def test_every_claim_of_a_page_names_its_test():
    for line in sentences():
        assert any(part in line for part in CLAIMS), f"which test checks this? {line}"
    for part, where in CLAIMS.items():
        assert any(part in line for line in sentences()), f"said no more: {part}"
        file, test = where.split("::")
        assert f"\ndef {test}" in (ROOT / "tests" / file).read_text(), where


def test_the_picture_is_of_4608_trainings_in_two_programs():
    drawn = runpy.run_path(str(ROOT / "docs" / "programs" / "landscape.py"))
    assert len(drawn["OPTIMIZERS"]) * drawn["SIDE"] ** 2 == 4608
    for optimizer in drawn["OPTIMIZERS"].values():
        space = jo.Training(
            model=jo.models.MLP((64, 32, 10), gain=jo.log_uniform(1e-2, 1e2)), loss=None,
            optimizer=optimizer, data=jo.data.load("digits"), batch_size=32,
        )  # fmt: skip
        assert len(plan(space, 8, 0, "grid").groups) == 1


@jo.pytree
class Witness(jo.Experiment):
    """An experiment that remembers which keys it was given."""

    x: float = jo.number()

    def init(self, key):
        return {"x": 0.0 * self.x, "least": jnp.full(2, 2**32 - 1, jnp.uint32),
                "most": jnp.zeros(2, jnp.uint32)}  # fmt: skip

    def step(self, state, t, key):
        bits = jax.random.key_data(key)
        new = {"x": state["x"] + self.x, "least": jnp.minimum(state["least"], bits),
               "most": jnp.maximum(state["most"], bits)}  # fmt: skip
        return new, jo.Step()

    def score(self, state, split):
        same = jnp.all(state["least"] == state["most"])
        return {"loss": state["x"], "same": same, "word": state["most"][1] % 2**20}


def test_the_key_is_the_same_at_every_step_and_for_every_trial():
    study = jo.sweep(Witness(jo.uniform(1.0, 2.0)), 5, steps=7, tile=2)
    assert study.columns["validation_same"].all()
    assert len(set(study.columns["validation_word"].tolist())) == 1


@pytest.mark.parametrize("crossed", [False, True])
def test_buffers_in_crossed_order_are_copied_and_others_are_not(crossed):
    """As XLA compiles it: in one order each output takes the buffer of its own old value."""
    optimizer, p = jo.adam(0.1), jnp.ones(1000)

    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def ordered(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return jo.apply_updates(params, updates), state

    @functools.partial(jax.jit, donate_argnames=("params", "state"))
    def swapped(grads, state, params):
        updates, state = optimizer.update(grads, state, params)
        return jo.apply_updates(params, updates), state

    given = (p, optimizer.init(p), p)
    compiled = swapped.lower(*given[::-1]) if crossed else ordered.lower(*given)
    copies = re.findall(r"= f32\[1000\]\S* copy\(", compiled.compile().as_text())
    assert bool(copies) == crossed
