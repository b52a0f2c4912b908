"""`explore`: the result at every position of every slider, as lanes of few programs."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_edu.engine.widths import program_memory
from jaxopt_edu.engine.workers import Worker, on_workers
from jaxopt_edu.learn.arguments import check_arguments, check_look
from jaxopt_edu.learn.kept import Kept
from jaxopt_edu.learn.results import Explored
from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.train import Experiment
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values import keys
from jaxopt_edu.values.messages import short
from jaxopt_edu.values.names import hyperparameters, replace
from jaxopt_edu.values.pytrees import check_count, show

LANES = 64  # in a program, at most
SHARE = 0.25  # of the memory of a program that the results may take


def explore(
    what: object,
    sliders: Mapping[str, Sequence[object]],
    *,
    steps: int | None = None,
    every: int | None = None,
    look: Callable[..., object] | None = None,
    seeds: int = 1,
    arrays: Sequence[object] = (),
    cache: bool | str | Path = True,
) -> Explored:
    """Runs an experiment, or a function, at every position of every slider.

    what: an experiment; or a pure function f(*arrays, **numbers), the numbers by the names of the
        sliders, that gives a tree of arrays.
    sliders: the values of each, by name (of numbers or parts, as in `jo.replace`). All values of a
        slider of numbers run in one compiled program; a function gets them as traced numbers. Of
        other values (optimizers, sizes, names) each has a program of its own.
    steps, every: of an experiment: how many steps, and how often results are recorded (steps must
        be a multiple of every; by default only at the end).
    look: (experiment, state) -> a tree of arrays; by default the scores on the validation part (or
        the first there is) and the training loss.
    seeds: 0, ..., seeds - 1 are run, of the initial weights and the order of the data; more than
        one gives an axis "seed".
    arrays: what a function is given besides; an array that it closes over is compiled into it.
    cache: results are kept on disk, by what they are of (code, data, versions), and read again:
        True in the user's cache, False not, or a directory.
    Errors: ValueError or TypeError that names what is wrong; MemoryError, with the bytes, where
        the results would take more than a quarter of what there is.

    >>> import jaxopt_edu as jo
    >>> found = jo.learn.explore(lambda a, b: a * b, {"a": [1.0, 2.0], "b": [3.0, 4.0, 5.0]})
    >>> found, found.arrays
    (Explored(2 a x 3 b), array([[ 3.,  4.,  5.],
           [ 6.,  8., 10.]], dtype=float32))
    """
    plan = Plan.of(what, sliders, steps, every, look, seeds, arrays)
    kept = Kept.of(cache, plan.identity())
    found = kept.read()
    if found is None:
        found = plan.run()
        kept.write(found)
    return Explored(plan.sliders, plan.axes, plan.stops, found)


@dataclass(frozen=True)
class Plan:
    """What is to be run: checked, and taken apart into structures and lanes.

    numbers: the sliders whose positions are lanes, as arrays.
    """

    what: Any
    sliders: dict[str, list]
    numbers: dict[str, np.ndarray]
    every: int
    stops: tuple[int, ...]  # () of a function
    look: Callable | None
    seeds: int
    arrays: tuple

    @classmethod
    def of(
        cls, what: Any, sliders: Any, steps: Any, every: Any, look: Any, seeds: Any, arrays: Any
    ) -> "Plan":
        values = _checked(sliders)
        check_count("seeds", seeds)
        if look is not None and not callable(look):
            raise TypeError(f"look = {show(look)}: wanted a function of (experiment, state)")
        if not isinstance(arrays, tuple | list):
            raise TypeError(f"arrays = {show(arrays)}: wanted a tuple or list of arrays")
        if not isinstance(what, Experiment):
            if not callable(what):
                raise TypeError(f"what = {show(what)}: wanted an experiment or a function")
            asked = {"steps": steps, "every": every, "look": look}
            given = [name for name, x in asked.items() if x is not None]
            if given or seeds > 1:
                name = (given or ["seeds"])[0]
                raise TypeError(f"{name}: a function takes none; it is for an experiment")
            check_arguments(what, arrays, values)
            numbers = {name: np.asarray(x) for name, x in values.items() if _are_numbers(x)}
            return cls(what, values, numbers, 0, (), None, 1, tuple(arrays))
        if look is not None:
            check_look(look)
        if arrays:
            raise TypeError("arrays: an experiment takes none; its data are its own")
        if steps is None:
            raise TypeError("steps: wanted a number of steps for an experiment")
        check_count("steps", steps)
        every = steps if every is None else every
        check_count("every", every)
        if steps % every:
            raise ValueError(f"steps = {steps}: wanted a multiple of every = {every}")
        for name, x in values.items():
            for one in x:
                _check_value(replace(what, **{name: one}), name, one)
        leaves = hyperparameters(what)
        numbers = {k: np.asarray(x, float) for k, x in values.items() if _is_leaf(k, leaves, x)}
        stops = tuple(range(every, steps + 1, every))
        return cls(what, values, numbers, every, stops, look, seeds, ())

    @property
    def axes(self) -> tuple[str, ...]:
        seed = ("seed",) if self.seeds > 1 else ()
        return (*self.sliders, *seed, *(("step",) if len(self.stops) > 1 else ()))

    @property
    def others(self) -> list[str]:
        """The sliders each of whose positions is a program."""
        return [name for name in self.sliders if name not in self.numbers]

    def identity(self) -> dict[str, Any]:
        """Of what the results are: sliders in their order, which is that of the axes."""
        return {
            "what": self.what, "sliders": list(self.sliders.items()), "every": self.every,
            "stops": self.stops, "look": self.look, "seeds": self.seeds, "arrays": self.arrays,
        }  # fmt: skip

    # ---------------------------------------------------------------------------- running

    def run(self) -> Any:
        """The results, a tree of arrays with an axis for each slider, seed and step."""
        mesh = np.meshgrid(*self.numbers.values(), indexing="ij")
        lanes = {name: _in_jax(m.ravel()) for name, m in zip(self.numbers, mesh, strict=True)}
        parts = []
        for position in itertools.product(*(self.sliders[name] for name in self.others)):
            parts.append(self._structure(dict(zip(self.others, position, strict=True)), lanes))
        kinds = {jax.tree.structure(x) for x in parts}
        shapes = {tuple(x.shape for x in jax.tree.leaves(part)) for part in parts}
        if len(kinds) > 1 or len(shapes) > 1:
            raise ValueError(
                f"the results of {' and '.join(self.others)} have not one shape: look= is to give "
                "what all of them have"
            )
        return jax.tree.map(lambda *x: self._arranged(np.stack(x)), *parts)

    def _structure(self, fixed: dict[str, Any], lanes: dict[str, np.ndarray]) -> Any:
        """The results of all lanes (lanes, seeds, ...) with these parts."""
        one, given = self._function(fixed)
        count = max(map(len, lanes.values()), default=1)
        width = min(LANES, count)
        over = (None, None, 0) if lanes else (None, None, None)
        program = jax.jit(jax.vmap(one, over, axis_size=width))
        try:
            first = program.eval_shape(
                given, np.uint32(0), {k: x[:width] for k, x in lanes.items()}
            )
        except Exception as error:
            told = (str(error).splitlines() or [""])[0]
            kind = ValueError if isinstance(error, ValueError) else TypeError
            where = f"with the sliders {', '.join(self.sliders)}, numbers as traced ones"
            raise kind(f"{self._named()} does not run {where}: {told}") from error
        if not jax.tree.leaves(first):
            raise TypeError(
                f"{self._named()} gives no arrays: wanted a number or array for each position"
            )
        bytes_each = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(first)) / width
        structures = math.prod(len(self.sliders[name]) for name in self.others)
        self._check_memory(bytes_each * count * self.seeds * structures)
        tiles = [(seed, k) for seed in range(self.seeds) for k in range(0, count, width)]
        done: dict[tuple[int, int], Any] = {}

        def work(tile: tuple[int, int], worker: Worker) -> None:
            seed, k = tile
            mine = {name: np.resize(x[k : k + width], width) for name, x in lanes.items()}
            found = jax.device_get(program(given, np.uint32(seed), mine))
            done[tile] = jax.tree.map(lambda x: x[: count - k], found)

        for _ in on_workers(work, tiles, Placement()):
            pass
        by_seed = [
            jax.tree.map(lambda *x: np.concatenate(x), *(done[s, k] for s, k in tiles if s == seed))
            for seed in range(self.seeds)
        ]
        return jax.tree.map(lambda *x: np.stack(x, 1), *by_seed)

    def _named(self) -> str:
        """What gives the results, by the argument that it is."""
        return f"what = {short(self.what)}" if self.look is None else f"look = {short(self.look)}"

    def _check_memory(self, bytes_: float) -> None:
        most = SHARE * program_memory()
        if bytes_ > most:
            raise MemoryError(
                f"the results would take {bytes_ / 2**20:,.0f} MiB, more than {most / 2**20:,.0f}: "
                "wanted fewer positions, fewer looks (every=), or less at each (look=)"
            )

    def _function(self, fixed: dict[str, Any]) -> tuple[Callable, Any]:
        """(f(given, seed, numbers of a lane) -> a tree of arrays, what is given)."""
        if not self.stops:
            f = self.what
            return lambda given, seed, x: jax.tree.map(jnp.asarray, f(*given, **fixed, **x)), (
                self.arrays
            )
        experiment = replace(self.what, **fixed) if fixed else self.what
        split = next(s for s in ("validation", *experiment.splits) if s in experiment.splits)
        look = self.look or (lambda e, state: e.score(state, split))

        def train(given: Any, seed: Any, x: Any) -> Any:
            one = replace(given, **x)
            key = keys.order(seed)

            def step(state: Any, t: Any) -> Any:
                state, told = one.step(state, t, key)
                return state, {} if told.loss is None else {TRAINING_LOSS: told.loss}

            def stretch(state: Any, ts: Any) -> Any:
                state, told = lax.scan(step, state, ts)
                last = jax.tree.map(lambda x: x[-1], told) if self.look is None else {}
                seen = look(one, state)
                return state, seen | last if isinstance(seen, dict) else seen

            ts = jnp.arange(self.stops[-1]).reshape(len(self.stops), self.every)
            seen = lax.scan(stretch, one.init(keys.weights(seed)), ts)[1]
            return seen if len(self.stops) > 1 else jax.tree.map(lambda x: x[0], seen)

        return train, experiment

    def _arranged(self, x: np.ndarray) -> np.ndarray:
        """(structures, lanes, seeds, ...) -> an axis for each slider in order, seeds, ..."""
        names = [*self.others, *self.numbers]
        x = x.reshape(*(len(self.sliders[name]) for name in names), *x.shape[2:])
        x = np.moveaxis(x, [names.index(n) for n in self.sliders], range(len(names)))
        return x if self.seeds > 1 else np.squeeze(x, len(names))


def _checked(sliders: Any) -> dict[str, list]:
    """The sliders as lists. Errors: TypeError or ValueError that names one."""
    if not isinstance(sliders, Mapping) or not sliders:
        raise TypeError(f"sliders = {show(sliders)}: wanted a dict, name -> its values")
    found = {}
    for name, x in sliders.items():
        if not isinstance(name, str):
            raise TypeError(f"sliders: {show(name)} is no name")
        if isinstance(x, str) or not isinstance(x, Sequence | np.ndarray | jax.Array | range):
            raise TypeError(f"sliders: {name} = {show(x)}: wanted a sequence of values")
        if isinstance(x, np.ndarray | jax.Array) and np.ndim(x) != 1:
            raise ValueError(f"sliders: {name} has {np.ndim(x)} axes: wanted one, of its values")
        found[name] = np.asarray(x).tolist() if isinstance(x, np.ndarray | jax.Array) else list(x)
        if not found[name]:
            raise ValueError(f"sliders: {name} has no values")
    return found


def _check_value(experiment: Any, name: str, value: Any) -> None:
    """The errors of an experiment with this value, with the name of the slider."""
    if value is None or isinstance(value, bool | complex):
        raise TypeError(f"sliders: {name} = {show(value)}: wanted numbers or parts")
    try:
        experiment.check()
    except (TypeError, ValueError) as error:
        raise type(error)(f"sliders: {name} = {show(value)}: {error}") from error


def _is_leaf(name: str, leaves: Mapping[str, Any], values: list) -> bool:
    """Whether a slider is of a number of the experiment, so that its positions are lanes."""
    last = [leaf for leaf in leaves if leaf == name or leaf.endswith(f".{name}")]
    return bool(last) and _are_numbers(values)


def _are_numbers(values: list) -> bool:
    return all(isinstance(x, int | float | np.number) and not isinstance(x, bool) for x in values)


def _in_jax(x: np.ndarray) -> np.ndarray:
    """In the dtype JAX computes with. Errors: ValueError for whole numbers beyond it."""
    found = x.astype(jax.dtypes.canonicalize_dtype(x.dtype))
    if x.dtype.kind in "iu" and (found != x).any():
        raise ValueError(f"sliders: {x[found != x][0]} is beyond {found.dtype}")
    return found
