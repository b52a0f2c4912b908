"""Trained models on their own: from rows as they were given to answers in the user's own terms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.chosen import prepared_rows
from jaxopt_edu.data.columns import Columns, by_name, column_names, read_table
from jaxopt_edu.data.dataset import Data, Part, Source
from jaxopt_edu.data.given import check_index, targets_of
from jaxopt_edu.data.labels import class_numbers, made_up, numbered
from jaxopt_edu.data.preparation import Fitted, Preparation, real
from jaxopt_edu.data.prepared import CHANGED, look_prepared, prepared_by
from jaxopt_edu.data.raw import check_values
from jaxopt_edu.nn.link import Link, link_named, link_of
from jaxopt_edu.train import Training
from jaxopt_edu.train.calling import call_model, is_stateful
from jaxopt_edu.values.pytrees import show

__all__ = ["SavedModel", "predicting", "trained"]

Labels = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A trained model with all that its answers need: what a `Run` saves and `load_model` reads.

    columns, fitted: what rows look like as they are given, and what they go through. mark: of rows
    that went through it already. features: the columns after it.
    targets, labels: the names of the classes, and the classes as they were given, in order.
    model_state: of a model that has a state beside its params, such as BatchNorm's statistics.
    No rows of the data are in it.
    """

    model: Any
    params: Any
    loss: Any
    metrics: tuple[Callable, ...] | None
    columns: Columns
    fitted: Fitted
    mark: str | None
    task: str
    features: tuple[str, ...]
    targets: tuple[str, ...]
    labels: Labels
    model_state: Any = ()

    def __repr__(self) -> str:
        what = f"{len(self.labels)} classes" if self.labels else ", ".join(self.targets[:3])
        return f"SavedModel({show(self.model)}: {len(self.columns.names)} columns -> {what})"

    def apply(self, x: Any) -> jax.Array:
        """The raw output of the model for prepared rows: pure, under jit, grad and vmap."""
        return call_model(self.model, self.params, self.model_state, x)[0]

    def predict(self, rows: Any, *, link: Any = None, prepared: bool | None = None) -> ndarray:
        """The answer for each row: a label as it was given, or numbers for a regression.

        rows: as `jo.data.from_arrays` takes them (array, nested list, data frame): they are
            prepared as the training part was. One row is x[None].
        link: what the outputs mean, where the loss does not say: softmax, log, sigmoid, argmax,
            sign, identity, or a function of the outputs that gives class numbers, or numbers.
        prepared: whether the rows are prepared already. None: arrays that a `Data` handed out are
            known to be. predict takes raw rows: those that you prepared
            yourself, as jnp.asarray(data.prepare(rows)), go to `apply`, or want prepared=True, as
            nothing tells them from raw ones, and they would be prepared a second time.
        Errors: ValueError for columns that are missing or unknown (by name) or too many or few,
            rows that nothing fills, rows prepared for other data, outputs that are NaN.
        """
        return self.answer(self.inputs(rows, prepared), link)

    def predict_proba(
        self, rows: Any, *, link: Any = None, prepared: bool | None = None
    ) -> ndarray:
        """The probability of each class, (n, classes), in the order of `targets`.

        Rows and errors: as `predict`; ValueError for a loss that gives no probabilities.
        """
        return self.probabilities(self.inputs(rows, prepared), link)

    def evaluate(self, rows: Any, labels: Any, *, prepared: bool | None = None) -> dict[str, float]:
        """The mean loss and the metrics of rows whose labels (or numbers) are known.

        labels: as they were given; the y of a part that a `Data` handed out is known as such.
        """
        return self.scores(rows, labels, self.inputs(rows, prepared), prepared)

    def scores(
        self, rows: Any, labels: Any, x: ndarray, prepared: bool | None = None
    ) -> dict[str, float]:
        """`evaluate` of rows that the model is to see as x."""
        check_index(rows, labels, "rows", "labels")
        by = prepared_by(rows)
        known = by is not None and by == self.mark if prepared is None else prepared
        y = self._targets(labels, known)
        if len(x) != len(y) or not len(x):
            raise ValueError(f"{len(x)} rows and {len(y)} labels: wanted one for each")
        part = Part(x, y)
        source = Source("rows", 0, Preparation(), None, None, "", loaded=False)
        classes = len(self.labels) or None
        data = Data(part, part, part, source, self.task, classes, self.features, self.targets)
        scored = Training(self.model, self.loss, None, data, metrics=self.metrics)
        found = scored.measure(self.params, self.model_state, "test")
        return {name: float(x) for name, x in found.items()}

    # -------------------------------------------------------------------------- in two halves

    def inputs(
        self, rows: Any, prepared: bool | None = None, parts: Any = (), raw: Any = ()
    ) -> ndarray:
        """Rows as the model is to see them.

        parts: prepared rows that they are not to be, unless they are raw ones of the data too.
        """
        check_prepared(prepared)
        by = prepared_by(rows)
        if prepared is None and by is not None:
            if by not in (self.mark, self.columns.by):
                raise ValueError(_OF_ARITHMETIC if by == CHANGED else _OF_OTHER_DATA)
            prepared = by == self.mark
        if prepared:
            return real(self._of_features(rows))
        given = np.asarray(rows) if by is not None else rows
        if prepared is None and by is None and self.mark is not None:
            self._check_raw(given, parts, raw)
        return self._prepared(given)

    def _prepared(self, rows: Any) -> ndarray:
        return prepared_rows("rows", rows, self.columns, self.fitted, self.features)

    def _of_features(self, rows: Any) -> ndarray:
        """Rows that may be prepared, columns by name where they have the names of features."""
        if set(column_names(rows)) == set(self.features):
            return by_name(rows, self.features)
        return read_table(rows)[0]

    def _check_raw(self, rows: Any, parts: Any, raw: Any) -> None:
        """ValueError where rows are those of the parts, which are prepared, and no raw ones."""
        array = self._of_features(rows)
        if array.ndim < 2 or not len(array) or array.dtype.kind != "f":
            return
        came = getattr(rows, "dtype", None)
        if look_prepared(array, parts, came if isinstance(came, np.dtype) else None):
            same = array.shape[1:] == self.columns.shape and np.array_equal(
                array, self._prepared(rows)
            )
            if not same and not self._are_among(rows, raw):
                raise ValueError(_AS_THE_DATA)

    def _are_among(self, rows: Any, raw: Any) -> bool:
        """Whether each of the rows is one of the raw arrays."""
        names = column_names(rows)
        if self.columns.named and names and set(names) != set(self.columns.names):
            return False
        array = self.columns.ordered(rows, "rows")
        known = {tuple(row) for a in raw for row in a.reshape(len(a), -1).tolist()}
        return all(tuple(row) in known for row in array.reshape(len(array), -1).tolist())

    def outputs(self, x: Any) -> ndarray:
        """What the model gives for prepared rows, on the host and in at least float32."""
        found = np.asarray(_apply(self.model, self.params, self.model_state, np.asarray(x)))
        return found if found.dtype.itemsize > 2 else found.astype(np.float32)

    def answer(self, x: Any, link: Any = None) -> ndarray:
        """`predict` of prepared rows."""
        outputs = self.outputs(x)
        if callable(link):
            return self._as_labels(np.asarray(link(outputs)), len(outputs))
        found = self._link(link)
        if not self.labels:
            if found.numbers is None:
                raise ValueError(f"link = {found.name!r} gives classes, but the data have numbers")
            return found.numbers(outputs)
        if found.classes is None:
            raise ValueError(
                f"loss = {show(self.loss)} leaves outputs as numbers, but the data have classes: "
                "give link=, such as a function of the outputs that gives class numbers"
            )
        _check_known(outputs)
        return self._as_labels(found.classes(self._of_classes(outputs)), len(outputs))

    def probabilities(self, x: Any, link: Any = None) -> ndarray:
        """`predict_proba` of prepared rows."""
        found = self._link(link)
        if found.probabilities is None:
            raise ValueError(
                f"predict_proba: loss = {show(self.loss)} ({found.name}) gives no probabilities; "
                "predict gives labels or numbers"
            )
        outputs = self.outputs(x)
        _check_known(outputs)
        p = found.probabilities(self._of_classes(outputs).astype(float))
        if p.ndim != 2 or p.shape[1] != len(self.targets):
            raise ValueError(
                f"predict_proba: the model gives {p.shape}, the data have {len(self.targets)} "
                "targets: wanted a column for each"
            )
        return p

    def _link(self, link: Any) -> Link:
        if callable(link):
            raise TypeError("predict_proba: link: wanted the name of one")
        return link_of(self.loss) if link is None else link_named(link)

    def _of_classes(self, outputs: ndarray) -> ndarray:
        """The outputs of the classes that there are; a model may have more."""
        return outputs[:, : len(self.labels)] if self.labels and outputs.ndim == 2 else outputs

    def _as_labels(self, classes: ndarray, n: int) -> ndarray:
        if not self.labels:
            return classes
        numbers = classes.astype(int) if classes.dtype == bool else classes
        if numbers.shape != (n,) or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"link gives {classes.dtype} of shape {classes.shape}: wanted a class number a row"
            )
        if n and not (numbers.min() >= 0 and numbers.max() < len(self.labels)):
            raise ValueError(f"link gives class numbers beyond 0 to {len(self.labels) - 1}")
        return np.asarray(self.labels)[numbers]

    def _targets(self, labels: Any, prepared: bool) -> ndarray:
        if self.labels:
            numbers = class_numbers("labels", labels, self.labels, prepared)
            if numbers is not None:
                return numbers
        named = not self.labels and self.targets != made_up(len(self.targets))
        task = None if self.labels else "regression"
        y = targets_of("labels", labels, task, self.targets if named else ())
        if y.ndim < 1:
            raise ValueError(f"labels = {labels!r}: wanted one for each row")
        check_values("labels", y, False, ())
        return numbered("labels", y, self.labels) if self.labels else real(y)


_WAYS = (
    "run.apply(x) is the model's output for prepared rows, run.predict('test') answers for a part "
    "of the data, and prepared=True or False says what rows are"
)
_OF_ARITHMETIC = f"rows were computed from prepared rows: {_WAYS}"
_OF_OTHER_DATA = f"rows were prepared for other data than the model's: {_WAYS}"
_AS_THE_DATA = f"rows are those of the run's own data, which are prepared already: {_WAYS}"


def check_prepared(prepared: Any) -> None:
    """TypeError unless it is True, False or None."""
    if prepared is not None and not isinstance(prepared, bool | np.bool_):
        raise TypeError(f"prepared = {show(prepared)}: wanted True, False or None")


@jax.jit
def _apply(model: Any, params: Any, model_state: Any, x: Any) -> Any:
    return call_model(model, params, model_state, x)[0]


def _check_known(outputs: ndarray) -> None:
    bad = np.isnan(outputs).any(axis=tuple(range(1, outputs.ndim)))
    if bad.any():
        raise ValueError(
            f"the model gives NaN for row {np.argmax(bad)}: has its training diverged?"
        )


def trained(experiment: Any, state: Any, asked: str) -> SavedModel:
    """The model of a run; TypeError where its experiment is no model, loss and `Data`.

    asked: the method that needs them.
    """
    name = type(experiment).__name__
    data: Any = getattr(experiment, "data", None)
    lacks = [part for part in ("model", "loss") if not hasattr(experiment, part)]
    if not isinstance(data, Data):
        lacks.append("data (jo.data.from_arrays makes them)")
    if not hasattr(state, "params"):
        lacks.append("params in its state")
    if lacks:
        raise TypeError(
            f"{asked}: {name} has no {', no '.join(lacks)}; run.state is what it learned"
        )
    params, model_state = predicting(experiment, state, asked)
    source = data.source
    return SavedModel(
        experiment.model, params, experiment.loss, getattr(experiment, "metrics", None),
        source.columns, source.fitted, source.mark, data.task, data.features, data.targets,
        data.labels, model_state,
    )  # fmt: skip


def predicting(experiment: Any, state: Any, asked: str) -> tuple[Any, Any]:
    """The params to predict with, and the model's state; () for a model without one.

    Errors: TypeError where the model has a state, but that of the experiment lacks it.
    """
    stateful = is_stateful(experiment.model)
    if stateful and not hasattr(state, "model_state"):
        raise TypeError(
            f"{asked}: model = {show(experiment.model)} has a state beside its params: wanted it "
            f"as the field model_state of the state of {type(experiment).__name__}"
        )
    return experiment.eval_params(state), state.model_state if stateful else ()
