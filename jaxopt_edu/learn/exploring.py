"""`explore`: the result at every position of every slider, as lanes of few programs."""

import itertools
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
from jaxopt_edu.learn.kept import Kept
from jaxopt_edu.learn.results import Explored
from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.train import Experiment
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values import keys
from jaxopt_edu.values.names import replace
from jaxopt_edu.values.pytrees import check_count, show

LANES = 64  # in a program, at most
SHARE = 0.25  # of the memory of a program that the results may take


def explore(
    what: object,
    sliders: Mapping[str, Sequence[object]],
    *,
    steps: int | None = None,
    every: int | None = None,
    look: Callable | None = None,
    seeds: int = 1,
    arrays: Sequence[object] = (),
    cache: bool | str | Path = True,
) -> Explored:
    """Runs an experiment, or a function, at every position of every slider.

    what: an experiment; or a pure function f(*arrays, **numbers), the numbers by the names of the
        sliders, that gives a tree of arrays.
    sliders: by name (of numbers or parts, as in `jo.replace`) the values of each: numbers, which
        are lanes of one program; or anything else (optimizers, widths), a program each.
    steps, every: of an experiment: how many steps, and after how many it is looked each time
        (steps must be a multiple; by default only at the end).
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
    """What is to be run: checked, and taken apart into structures and lanes."""

    what: Any
    sliders: dict[str, list]
    every: int
    stops: tuple[int, ...]  # () of a function
    look: Callable | None
    seeds: int
    arrays: tuple

    @classmethod
    def of(
        cls, what: Any, sliders: Any, steps: Any, every: Any, look: Any, seeds: Any, arrays: Any
    ) -> "Plan":
        if not isinstance(sliders, Mapping) or not sliders:
            raise TypeError(f"sliders = {show(sliders)}: wanted a dict, name -> its values")
        values = {
            name: list(np.asarray(x)) if isinstance(x, jax.Array) else list(x)
            for name, x in sliders.items()
        }
        empty = [name for name, x in values.items() if not x]
        if empty:
            raise ValueError(f"sliders: {empty[0]} has no values")
        check_count("seeds", seeds)
        if not isinstance(what, Experiment):
            if not callable(what):
                raise TypeError(f"what = {show(what)}: wanted an experiment or a function")
            given = [
                n for n, x in (("steps", steps), ("every", every), ("look", look)) if x is not None
            ]
            if given or seeds > 1:
                raise TypeError(
                    f"{(given or ['seeds'])[0]}: a function takes none; it is for an experiment"
                )
            return cls(what, values, 0, (), None, 1, tuple(arrays))
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
            replace(what, **{name: x[0]})  # raises where there is no such name
        stops = tuple(range(every, steps + 1, every))
        return cls(what, values, every, stops, look, seeds, ())

    @property
    def axes(self) -> tuple[str, ...]:
        seed = ("seed",) if self.seeds > 1 else ()
        return (*self.sliders, *seed, *(("step",) if len(self.stops) > 1 else ()))

    @property
    def numbers(self) -> list[str]:
        """The sliders whose positions are lanes: those of numbers."""
        return [name for name, x in self.sliders.items() if all(map(_is_number, x))]

    def identity(self) -> dict[str, Any]:
        """Of what the results are."""
        return {
            "what": self.what, "sliders": self.sliders, "every": self.every, "stops": self.stops,
            "look": self.look, "seeds": self.seeds, "arrays": self.arrays,
        }  # fmt: skip

    # ---------------------------------------------------------------------------- running

    def run(self) -> Any:
        """The results, a tree of arrays with an axis for each slider, seed and step."""
        others = [name for name in self.sliders if name not in self.numbers]
        mesh = np.meshgrid(
            *(np.asarray(self.sliders[n], float) for n in self.numbers), indexing="ij"
        )
        lanes = (
            np.stack([m.ravel() for m in mesh], 1).astype(np.float32)
            if mesh
            else np.zeros((1, 0), np.float32)
        )
        parts = []
        for position in itertools.product(*(self.sliders[name] for name in others)):
            parts.append(self._structure(dict(zip(others, position, strict=True)), lanes))
        return jax.tree.map(lambda *x: self._arranged(np.stack(x), others), *parts)

    def _structure(self, fixed: dict[str, Any], lanes: np.ndarray) -> Any:
        """The results of all lanes (lanes, seeds, ...) with these parts."""
        one, given = self._function(fixed)
        width = min(LANES, len(lanes))
        program = jax.jit(lambda given, seed, x: jax.vmap(one, (None, None, 0))(given, seed, x))
        first = program.eval_shape(given, np.uint32(0), lanes[:width])
        bytes_each = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(first)) / width
        structures = np.prod(
            [len(x) for name, x in self.sliders.items() if name not in self.numbers]
        )
        self._check_memory(bytes_each * len(lanes) * self.seeds * structures)
        tiles = [(seed, k) for seed in range(self.seeds) for k in range(0, len(lanes), width)]
        done: dict[tuple[int, int], Any] = {}

        def work(tile: tuple[int, int], worker: Worker) -> None:
            seed, k = tile
            padded = np.resize(lanes[k : k + width], (width, lanes.shape[1]))
            found = jax.device_get(program(given, np.uint32(seed), padded))
            done[tile] = jax.tree.map(lambda x: x[: len(lanes) - k], found)

        for _ in on_workers(work, tiles, Placement()):
            pass
        by_seed = [
            jax.tree.map(lambda *x: np.concatenate(x), *(done[s, k] for s, k in tiles if s == seed))
            for seed in range(self.seeds)
        ]
        return jax.tree.map(lambda *x: np.stack(x, 1), *by_seed)

    def _check_memory(self, bytes_: float) -> None:
        most = SHARE * program_memory()
        if bytes_ > most:
            raise MemoryError(
                f"the results would take {bytes_ / 2**20:,.0f} MiB, more than {most / 2**20:,.0f}: "
                "wanted fewer positions, fewer looks (every=), or less at each (look=)"
            )

    def _function(self, fixed: dict[str, Any]) -> tuple[Callable, Any]:
        """(f(given, seed, numbers of a lane) -> a tree of arrays, what is given)."""
        names = self.numbers
        if not self.stops:
            f = self.what
            return lambda given, seed, x: jax.tree.map(
                jnp.asarray, f(*given, **fixed, **dict(zip(names, x, strict=True)))
            ), self.arrays
        experiment = replace(self.what, **fixed) if fixed else self.what
        split = next(s for s in ("validation", *experiment.splits) if s in experiment.splits)
        look = self.look or (lambda e, state: e.score(state, split))

        def train(given: Any, seed: Any, x: Any) -> Any:
            one = replace(given, **dict(zip(names, x, strict=True)))
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

    def _arranged(self, x: np.ndarray, others: list[str]) -> np.ndarray:
        """(structures, lanes, seeds, ...) -> an axis for each slider in order, seeds, ..."""
        names = [*others, *self.numbers]
        x = x.reshape(*(len(self.sliders[name]) for name in names), *x.shape[2:])
        x = np.moveaxis(x, [names.index(n) for n in self.sliders], range(len(names)))
        return x if self.seeds > 1 else np.squeeze(x, len(names))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number) and not isinstance(x, bool)
