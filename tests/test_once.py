"""What is written once: states, decays, masks, base classes that say what is missing, monitors."""

import ast
import importlib
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.program import main
from jaxopt_edu.data.augment.base import Augmentation
from jaxopt_edu.data.augment.images import OfImages
from jaxopt_edu.engine import telemetry
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.optim import transform
from jaxopt_edu.optim.schedules.basic import Schedule
from jaxopt_edu.search.samplers import _Cube
from jaxopt_edu.storage.named import CHAPTERS
from jaxopt_edu.values.labelling import labels
from jaxopt_edu.values.names import inlined
from jaxopt_edu.values.space import Distribution

ROOT = Path(jo.__file__).parent


# ------------------------------------------------------------------------------------- states


def test_a_clock_is_one_state_whoever_keeps_it():
    makers = jo.sign_sgd(0.1), jo.scale(1.0), jo.clip(1.0), jo.clip_by_global_norm(1.0)
    assert {type(maker.init(jnp.ones(2))) for maker in makers} == {transform.ClockState}


def test_no_state_is_declared_twice():
    classes = [
        node.name
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("State")
    ]
    assert len(classes) == len(set(classes)) > 10


# -------------------------------------------------------------------------------------- masks


class Moved(NamedTuple):
    t: jax.Array


@jo.pytree
class Toward(transform.Rule):
    """u = -rate p on what is marked."""

    rate: float = jo.number(0)
    only: transform.Mask = jo.mask(default=None)
    needs_params = True

    def init(self, params):
        return Moved(transform.start())

    def rule(self, t, p, g):
        assert isinstance(self.only, bool)
        return (transform.decayed(jnp.zeros_like(g), -self.rate, p, self.only),)


@pytest.mark.parametrize("only", [None, {"w": True, "b": False}, lambda p: {"w": True, "b": False}])
def test_a_field_is_a_mask_because_it_is_declared_one(only):
    params = {"w": jnp.array([2.0]), "b": jnp.array([4.0])}
    rule = Toward(0.5, only)
    u, _ = rule.update(params, rule.init(params), params)
    assert u["w"] == -1 and u["b"] == (0 if only else -2)
    assert jo.hyperparameters(rule) == {"rate": 0.5}


@jo.pytree
class ByName(transform.Rule):
    """As it was declared up to version 0.1."""

    rate: float = jo.number(0)
    own_mask: transform.Mask = jo.static(default=None)

    def init(self, params):
        return Moved(transform.start())

    def rule(self, t, p, g):
        return (transform.decayed(g, self.rate, g, self.own_mask),)


def test_a_mask_by_its_name_is_one_for_a_version_more():
    rule, g = ByName(1.0, {"w": True, "b": False}), {"w": jnp.ones(1), "b": jnp.ones(1)}
    with pytest.warns(DeprecationWarning, match=r"own_mask is taken .*own_mask: Mask = jo.mask"):
        u, _ = rule.update(g, rule.init(g))
    assert u["w"] == 2 and u["b"] == 1


def test_what_only_ends_in_mask_and_is_a_number_is_none():
    @jo.pytree
    class Numbered(transform.Rule):
        unmask: float = jo.number()

        def init(self, params):
            return Moved(transform.start())

        def rule(self, t, p, g):
            return (self.unmask * g,)

    rule = Numbered(0.5)
    u, _ = rule.update(jnp.array(4.0), rule.init(None))
    assert u == 2


@pytest.mark.parametrize("make", [jo.adamw, jo.nadamw, jo.adamaxw, jo.lion, jo.adadelta])
def test_decays_leave_alone_what_is_not_marked(make):
    """Marked parameters move as with the decay, the others as without: bit for bit."""
    name = "weight_decay_mask" if make is jo.adadelta else "mask"
    params = {"w": jnp.array([0.3, -2.0]), "b": jnp.array([0.7, 0.1])}
    grads = {"w": jnp.array([0.01, 0.5]), "b": jnp.array([-0.2, 0.3])}

    def moved(**options):
        optimizer = make(0.1, **options)
        return optimizer.update(grads, optimizer.init(params), params)[0]

    both = moved(weight_decay=0.1, **{name: {"w": True, "b": False}})
    np.testing.assert_array_equal(both["w"], moved(weight_decay=0.1)["w"])
    np.testing.assert_array_equal(both["b"], moved(weight_decay=0.0)["b"])
    assert (both["w"] != moved(weight_decay=0.0)["w"]).any()


# ------------------------------------------------------------------------------- base classes


@pytest.mark.parametrize(
    ("base", "missing"),
    [
        (transform.Rule, "init"),
        (Schedule, "eta"),
        (Distribution, "quantile"),
        (Augmentation, "__call__"),
        (OfImages, "image"),
        (_Cube, "points"),
    ],
)
def test_a_class_that_lacks_its_method_is_refused_when_it_is_made(base, missing):
    lacking = type("Lacking", (base,), {})
    with pytest.raises(TypeError, match=f"abstract.*Lacking.*{missing}"):
        lacking()


# -------------------------------------------------------------------------------------- monitor


def test_the_programs_of_the_engine_are_those_that_are_counted():
    """What is counted is named after the programs themselves: no name can go stale."""
    assert {"init_lanes", "advance_lanes", "score_lanes"} == telemetry.ENGINE
    tree = ast.parse((ROOT / "engine" / "programs.py").read_text())
    jitted = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("compiled" in ast.unparse(d) for d in node.decorator_list)
    }
    assert jitted == telemetry.ENGINE


def test_programs_of_others_are_others():
    @jax.jit
    def advance_lanes_of_mine(x):
        return x + 41

    with Compilations() as count:
        advance_lanes_of_mine(np.float32(1.5))
    assert count.as_dict() == {"engine": 0, "other": 1}


# ---------------------------------------------------------------------------------------- names


def test_a_class_is_stored_by_a_name_that_one_class_has():
    """Stores keep the bare name: two classes of one name would be mixed up."""
    found = {}
    for chapter in CHAPTERS:
        module = importlib.import_module(f"jaxopt_edu{chapter}")
        for name in module.__all__:
            if isinstance(getattr(module, name), type):
                assert found.setdefault(name, getattr(module, name)) is getattr(module, name), name
    assert len(found) > 50


def test_a_partition_is_labelled_by_its_optimizers():
    """Not by the names of its groups, a+b."""

    def parted(optimizer):
        return jo.partition({"a": optimizer, "b": jo.sgd(0.1)}, {"w": "a", "x": "b"})

    assert jo.space.label(parted(jo.sgd(0.1))) == "partition"
    assert labels([parted(jo.sgd(0.1)), parted(jo.adam(0.1))]) == [
        "partition(a=sgd)", "partition(a=adam)",
    ]  # fmt: skip


def test_what_is_inlined_is_asked_of_one_function():
    asked = [
        (path.name, node.lineno)
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == "inlined"
    ]
    assert {name for name, _ in asked} == {"names.py", "pytrees.py"}
    assert inlined(jo.chain()) == inlined(type(jo.chain())) == "transforms"
    assert inlined(jo.sgd(0.1)) is inlined(None) is None


def test_what_a_command_refuses_is_named_as_it_was_given(tmp_path, capsys):
    """--store, not --out, where it was --store."""
    (tmp_path / "mine.txt").write_text("")
    for option in ("--out", "--store"):
        command = [
            "sweep",
            "wine",
            "--trials",
            "2",
            "--steps",
            "2",
            option,
            str(tmp_path / "mine.txt"),
        ]
        assert main([*command, "--overwrite"]) == 2
        assert f"{option} {tmp_path / 'mine.txt'} is a file" in capsys.readouterr().err
