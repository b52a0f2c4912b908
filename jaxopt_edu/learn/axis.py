"""`Axis`: a slider over the values of one axis of results, as a widget of a notebook."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.learn.pages import by_powers, ends_of, is_numeric, part
from jaxopt_edu.values.messages import show

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError(
        "jo.learn.Axis needs anywidget: pip install 'jaxopt_edu[notebook]'"
    ) from error

__all__ = ["Axis"]

CLOSE = 1e-6  # relatively: values that are the same, of which one may be a float32


def script() -> str:
    """The module that a notebook runs: the pages' runtime and styles, then the widget."""
    light, dark = re.findall(r":root\s*\{(.*?)\}", part("page.css"), re.S)[:2]
    style = (
        f":host {{{light}; color-scheme: light; display: block; max-width: 36rem;"
        f" margin: 0.25rem; font-size: 1rem; }}\n"
        f":host(.dark) {{{dark}; color-scheme: dark; }}\n{part('parts.css')}"
    )
    return f"{part('runtime.js')}\nconst STYLE = {json.dumps(style)};\n{part('axis.js')}"


class Axis(anywidget.AnyWidget):
    """A slider over the positions of an axis, whose track shows the outcome at each of them.

    name: what the values are, such as "learning_rate".
    values: of each position: numbers, or anything else that is shown by its repr.
    outcome: one number for each; where it is not finite, the track is grey and it is "diverged".
    better: "min" where a small outcome is good, "max" where a large one is: the good ones are high
        on the track. A positive outcome that is to be small and spans more than a factor of 30 is
        drawn by its logarithm.
    outcome_name: what the outcome is, beside its number.
    index: where it stands at first; by default at the best outcome.
    `index` and `value` are the position and its value; both may be set, and `observe` calls a
    function whenever one changes: axis.observe(lambda change: draw(result[change.new]), "index").
    It is an anywidget: Jupyter, JupyterLab, VS Code, Colab and marimo show it.
    Errors: ImportError where anywidget is missing; TypeError or ValueError that names the argument
        where lengths differ, or no outcome is finite; traitlets.TraitError where index or value is
        set to none of the positions.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> rates = jnp.logspace(-3, 1, 9)
    >>> loss = jax.vmap(lambda rate: (1 - 2 * rate) ** 20)(rates)
    >>> axis = jo.learn.Axis("learning_rate", rates, outcome=loss, outcome_name="loss")
    >>> axis
    Axis(learning_rate, 9 values, index=5)
    >>> axis.index = 0
    >>> round(axis.value, 4)
    0.001
    """

    _esm = script()
    name = traitlets.Unicode().tag(sync=True)
    labels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    heights: traitlets.List[Any] = traitlets.List().tag(sync=True)
    outcomes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    outcome_name = traitlets.Unicode().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    value = traitlets.Any()

    def __init__(
        self,
        name: str,
        values: Sequence[object] | np.ndarray | Array,
        outcome: ArrayLike | Sequence[float],
        *,
        better: str = "min",
        outcome_name: str = "outcome",
        index: int | None = None,
    ):
        for argument, text in (("name", name), ("outcome_name", outcome_name)):
            if not isinstance(text, str):
                raise TypeError(f"{argument} = {show(text)}: wanted a string")
        if better not in ("min", "max"):
            raise ValueError(f"better = {show(better)}: wanted 'min' or 'max'")
        self.values = _values(values)
        x = _outcome(outcome, len(self.values))
        tall = heights(x, better)
        best = int(np.nanargmax(tall))
        numeric = is_numeric(self.values)
        if index is None:
            index = best
        elif isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise TypeError(f"index = {show(index)}: wanted an integer")
        elif not 0 <= index < len(self.values):
            raise ValueError(f"index = {index}: wanted 0 to {len(self.values) - 1}")
        super().__init__(
            name=name, labels=self.values if numeric else [show(v) for v in self.values],
            heights=_without_nan(tall), outcomes=_without_nan(x), outcome_name=outcome_name,
            index=int(index), value=self.values[index],
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Axis({self.name}, {len(self.values)} values, index={self.index})"

    @traitlets.validate("index")
    def _known_index(self, proposal: Any) -> int:
        if not 0 <= proposal.value < len(self.values):
            raise traitlets.TraitError(
                f"index = {proposal.value}: wanted 0 to {len(self.values) - 1}"
            )
        return int(proposal.value)

    @traitlets.validate("value")
    def _known_value(self, proposal: Any) -> Any:
        return self.values[self._place(proposal.value)]

    @traitlets.observe("index")
    def _follow_index(self, change: Any) -> None:
        self.value = self.values[change.new]

    @traitlets.observe("value")
    def _follow_value(self, change: Any) -> None:
        if self.values[self.index] != change.new:
            self.index = self._place(change.new)

    def _place(self, value: Any) -> int:
        """The position of a value. Errors: TraitError where it is none."""
        for i, known in enumerate(self.values):
            if _same(value, known):
                return i
        ends = f"{show(self.values[0])} to {show(self.values[-1])}"
        raise traitlets.TraitError(
            f"value = {show(value)}: wanted one of the {len(self.values)} values, {ends}"
        )


def _same(x: Any, y: Any) -> bool:
    if isinstance(y, int | float) and isinstance(x, int | float | np.number):
        return bool(abs(x - y) <= CLOSE * abs(y))
    return bool(np.array_equal(x, y)) if type(x) is type(y) else False


def heights(x: np.ndarray, better: str) -> np.ndarray:
    """Outcomes as heights from 0, which is bad, to 1, the best; NaN where not finite.

    >>> heights(np.array([1.0, 3.0, np.nan, 2.0]), "max").round(2).tolist()
    [0.0, 1.0, nan, 0.47]
    """
    log = by_powers(x, better)
    x = np.where(np.isfinite(x), x, np.nan)
    x = np.log10(x) if log else x
    best, worst = ends_of(x, better, log)
    if best is None or worst is None or best == worst:
        return np.where(np.isfinite(x), 1.0, np.nan)
    return np.clip((x - worst) / (best - worst), 0, 1)


def _without_nan(x: np.ndarray) -> list[float | None]:
    """For JSON, which has no word for what is not finite."""
    return [float(v) if np.isfinite(v) else None for v in x]


def _values(given: Any) -> list[Any]:
    """The values as a list of Python's own. Errors: TypeError or ValueError."""
    if isinstance(given, str) or not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
        raise TypeError(
            f"values = {show(given)}: wanted a list or array, a value for each position"
        )
    if np.ndim(given) != 1 and hasattr(given, "ndim"):
        raise ValueError(f"values has shape {np.shape(given)}: wanted one axis")
    found = np.asarray(given).tolist() if hasattr(given, "dtype") else list(given)
    if len(found) < 2:
        raise ValueError(f"values: there are {len(found)}: wanted at least 2 positions")
    plain = [v.item() if isinstance(v, np.generic) else v for v in found]
    for v in plain:
        if isinstance(v, float) and not np.isfinite(v):
            raise ValueError(f"values: {v} is among them: wanted finite numbers")
    return plain


def _outcome(given: Any, count: int) -> np.ndarray:
    """The outcomes as floats. Errors: TypeError or ValueError."""
    try:
        x = np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"outcome = {show(given)}: wanted numbers, one for each value") from error
    if x.shape != (count,):
        hint = "; over seeds, give their mean" if x.ndim > 1 and x.shape[0] == count else ""
        raise ValueError(f"outcome has shape {x.shape}: wanted ({count},), one number for each "
                         f"value{hint}")  # fmt: skip
    if not np.isfinite(x).any():
        raise ValueError(f"outcome: none of {count} is finite: wanted at least one that is")
    return x
