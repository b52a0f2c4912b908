"""Experiments: what `fit` and `sweep` run, anything that learns step by step."""

from typing import Any, NamedTuple

from jax import Array


class Step(NamedTuple):
    """What a step tells the engine, beside the new state.

    loss: the training loss of the step: where it is no finite number, or far above that of the
        first step, the training has diverged. None: nothing is watched but the state.
    done: whether the training has reached its end, as a solver at the optimum. None: never.

    >>> import jaxopt_edu as jo
    >>> jo.Step(loss=0.5)
    Step(loss=0.5, done=None)
    """

    loss: Any = None
    done: Any = None


class Experiment:
    """What `fit` and `sweep` run: three pure functions of a pytree whose scalars are the numbers.

    Yours are `init`, `step` and `score`; everything else has a default.
    t is the 0-based step; t and key are shared by all lanes of a sweep, so a lane's own randomness
    belongs in its state. A score is a dict of named scalars, for one of the `splits`.

    splits: the parts that can be scored; trials are ranked on "validation" if it is one of them.
    score_modes: of scores by name, whether less ("min") or more ("max") is better; of scores that
        have a name of this library's ("loss", "accuracy") that is known.
    steps_per_epoch: of one that goes through its data in batches: rungs wait for so many.
    min_eval_interval: steps between evaluations, at least, unless told otherwise.
    shared_state: the fields of its state that the devices of a mesh split between them.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> @jo.pytree
    ... class Descent(jo.Experiment):
    ...     learning_rate: float
    ...     def init(self, key):
    ...         return jax.random.normal(key)
    ...     def step(self, w, t, key):
    ...         return w - self.learning_rate * 2 * w, jo.Step(loss=w**2)
    ...     def score(self, w, split):
    ...         return {"loss": w**2}
    >>> jo.fit(Descent(0.1), steps=50).scores["validation"]["loss"] < 1e-6
    True
    """

    splits: Any = ("validation",)
    score_modes: Any = {}
    steps_per_epoch: Any = None
    min_eval_interval: Any = 1
    shared_state: tuple[str, ...] = ()
    why_done = "its step said that it is done"

    def init(self, key: Array) -> Any:
        """The state before the first step."""
        raise NotImplementedError(f"{type(self).__name__} has no init(key)")

    def step(self, state: Any, t: Array, key: Array) -> tuple[Any, Step]:
        """The state after step t, and what the step tells."""
        raise NotImplementedError(f"{type(self).__name__} has no step(state, t, key)")

    def score(self, state: Any, split: str) -> dict[str, Array]:
        """Named scalars of a state, on one of the splits."""
        raise NotImplementedError(f"{type(self).__name__} has no score(state, split)")

    def learn(self, state: Any, batch: Any, t: Array, key: Array) -> tuple[Any, Step]:
        """The state after step t on a batch that comes from outside, of a stream."""
        raise TypeError(
            f"batches: {type(self).__name__} has no learn(state, batch, t, key): it draws its own "
            "examples"
        )

    def baseline(self, state: Any) -> Any:
        """The loss that those of later steps are compared with; None: that of the first step."""
        return None

    def eval_params(self, state: Any) -> Any:
        """The params to predict with, which an optimizer may keep beside those it moves."""
        return state.params

    def watched(self, state: Any) -> Any:
        """What must stay finite, looked at when scores are taken: the whole state.

        Where a part of it may hold infinity by design, such as the best value so far: the rest.
        """
        return state

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the part, before anything is compiled."""

    def check_placement(self, doing: str) -> None:
        """Raises TypeError unless its step says how the rows of a batch may be split."""
        raise TypeError(
            f"{doing}: {type(self).__name__} has a step of its own, which does not say how its "
            "examples could be shared: wanted a Training"
        )

    def folded(self, folds: Any) -> Any:
        """The experiment with its data split into folds, as `jo.data.k_fold` does."""
        raise TypeError(f"folds: {type(self).__name__} has no method folded")

    def fold(self, k: Any) -> Any:
        """The experiment on fold k, which may be traced."""
        raise TypeError(f"folds: {type(self).__name__} has no method fold")
