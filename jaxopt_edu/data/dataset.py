"""Data as one value: three parts, and where they come from."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.chosen import prepared_rows
from jaxopt_edu.data.columns import Columns
from jaxopt_edu.data.labels import mark_of
from jaxopt_edu.data.preparation import Fitted, Preparation, Standardize
from jaxopt_edu.data.prepared import marked, of_fold, prepared_by, read_only
from jaxopt_edu.values import notebook
from jaxopt_edu.values.asides import UNTOLD
from jaxopt_edu.values.pytrees import Constant, aside, pytree, show, static

__all__ = ["Data", "Part", "Rows", "Source"]

SHARE = 0.2  # of validation and of test, unless told otherwise


class Part(NamedTuple):
    """Examples and their targets, one a row."""

    x: Any
    y: Any

    @property
    def size(self) -> int:
        """How many examples it may hold: a number known without running anything."""
        return len(self.y)

    @property
    def examples(self) -> Any:
        """How many examples it holds."""
        return len(self.y)

    def take(self, index: Any) -> tuple[Any, Any]:
        """Some of its examples and their targets."""
        return jnp.asarray(self.x)[index], jnp.asarray(self.y)[index]

    def first(self, n: int | None = None) -> tuple[Any, Any, Any]:
        """Its first n examples (all), their targets, and weights: 0 for padding, None if none."""
        return self.x[:n], self.y[:n], None


class Rows(NamedTuple):
    """Some rows of examples that others use too: what a fold takes. Read like a `Part`.

    rows: which, in which order; None: all. count: how many of them count (a number that may be
    traced); the others are padding, so that folds of unequal size have equal shapes. None: all.
    shift, scale: a fold's own (features...): an example is (x - shift) / scale. None: it is x.
    x, y: the rows themselves, prepared, without padding (in a compiled function: with it).
    """

    pool_x: Any
    pool_y: Any
    rows: Any
    count: Any = None
    shift: Any = None
    scale: Any = None

    @property
    def x(self) -> Any:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in self):
            return self.first()[0]
        return marked(read_only(counted(self)[0]), of_fold(self.pool_x))

    @property
    def y(self) -> Any:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in self):
            return self.first()[1]
        return marked(read_only(counted(self)[1]), prepared_by(self.pool_y))

    @property
    def size(self) -> int:
        return len(self.pool_y if self.rows is None else self.rows)

    @property
    def examples(self) -> Any:
        return self.size if self.count is None else self.count

    def take(self, index: Any) -> tuple[Any, Any]:
        rows = index if self.rows is None else jnp.asarray(self.rows)[index]
        x, y = jnp.asarray(self.pool_x)[rows], jnp.asarray(self.pool_y)[rows]
        return x if self.shift is None else (x - self.shift) / self.scale, y

    def first(self, n: int | None = None) -> tuple[Any, Any, Any]:
        x, y = self.take(slice(n))
        return x, y, None if self.count is None else (jnp.arange(len(y)) < self.count).astype(float)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where data come from; sha256 is that of the raw arrays. What does not compare is derived."""

    name: str
    seed: int
    preparation: Preparation
    validation: float | None  # a share; None where the part was given
    test: float | None
    sha256: str
    loaded: bool  # by name, so that `load` can make it again
    path: str | None = dataclasses.field(default=None, compare=False)
    sizes: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    fitted: Fitted = dataclasses.field(default=Fitted(), compare=False)
    columns: Columns = dataclasses.field(default=Columns(), compare=False)

    @property
    def mark(self) -> str | None:
        """What rows prepared as these are marked with: a hash of all that decides about them.

        None where the preparation changes nothing: then rows are as they were given.
        """
        if not getattr(self.fitted, "changes", True):
            return None
        compared = [getattr(self, f.name) for f in dataclasses.fields(self) if f.compare]
        digest = hashlib.sha256(repr(compared).encode())
        leaves, structure = jax.tree.flatten(self.fitted)  # a fold's own, with equal sources
        digest.update(str(structure).encode())
        for leaf in leaves:
            digest.update(np.asarray(leaf).tobytes() if np.ndim(leaf) else repr(leaf).encode())
        return digest.hexdigest()

    def arguments(self) -> dict[str, Any]:
        """What `load` is to be called with to make the data again, without its defaults."""
        if not self.loaded:
            raise ValueError(f"data {self.name!r} were given as arrays: they must be passed again")
        usual = {"path": None, "validation": SHARE, "test": SHARE, "prepare": Standardize()}
        given = {
            "name": self.name,
            "seed": self.seed,
            "path": self.path,
            "validation": self.validation,
            "test": self.test,
            "prepare": self.preparation,
        }
        return {k: v for k, v in given.items() if k not in usual or v != usual[k]}

    def __repr__(self):
        if not self.loaded:
            sizes = " / ".join(map(str, self.sizes))
            return f"Data({self.name!r}, {sizes} examples, {self.sha256[:8]})"
        (_, name), *options = self.arguments().items()
        return f"load({name!r}, {', '.join(f'{k}={show(v)}' for k, v in options)})"


@pytree
class Data(Constant):
    """Examples to train on, to choose by (validation) and to report on (test).

    Two are equal when they come from the same source (raw arrays, seed, shares, preparation); the
    repr is the call of `load` that makes them again, where there is one. The leaves of the tree
    are the six arrays. `prepare(x)` does to new examples what was done to these.
    targets: the names of the classes (or of the columns of y). labels: the classes as they were
        given, in order, so that `labels[k]` is what y = k stood for; () for a regression.
    A compiled program depends on shapes, task and number of classes only: names, labels and source
    are not known inside of it.

    Shapes: x (n, features...) float; y (n,) int32 labels from 0, or float targets.
    """

    train: Part | Rows
    validation: Part | Rows
    test: Part | Rows
    source: Source = aside()
    task: str = static()
    n_classes: int | None = static()
    features: tuple[str, ...] = aside()
    targets: tuple[str, ...] = aside()
    labels: tuple[Any, ...] = aside(default=())
    given: tuple[Any, ...] = aside(default=())  # the rows of the parts as they were given

    @property
    def pool(self) -> Part:
        """The training and the validation part as one: the rows that folds are made of."""
        pairs = zip(counted(self.train), counted(self.validation), strict=True)
        x, y = (read_only(np.concatenate(pair)) for pair in pairs)
        return Part(marked(x, self.source.mark), marked(y, mark_of(self.labels)))

    @property
    def pool_targets(self) -> ndarray:
        """The targets of the pool."""
        return np.concatenate([counted_targets(part) for part in (self.train, self.validation)])

    def prepare(self, x: Any) -> Any:
        """What the examples of the training part went through, done to rows as they were given.

        x: rows as `from_arrays` takes them; columns with names may stand in any order.
        `predict` takes raw rows and prepares them itself. Rows that you prepared go to `apply`, or
        to predict(rows, prepared=True): np and jnp.asarray of them forget that they are prepared.
        Errors: ValueError for rows that were prepared already, for columns that are missing or
            unknown (by name) or too many or few, and for missing values that nothing fills.
        """
        source = self.source
        rows = prepared_rows("x", x, source.columns, source.fitted, self.features)
        return marked(rows, source.mark)

    def _repr_html_(self) -> str:
        parts = {name: getattr(self, name) for name in ("train", "validation", "test")}
        rows = [(name, part.size) for name, part in parts.items()]
        few = ", ".join(map(str, self.features[:20])) + (", ..." if len(self.features) > 20 else "")
        kind = self.task if self.n_classes is None else f"{self.task}, {self.n_classes} classes"
        head = notebook.table(("part", "examples"), rows)
        return notebook.card(f"{self.source.name}: {kind}", head, notebook.text(f"features: {few}"))

    def __eq__(self, other):
        if self.source is UNTOLD:
            return self is other
        return type(self) is type(other) and self.source == other.source

    def __hash__(self):
        return id(self) if self.source is UNTOLD else hash(self.source)

    def __repr__(self):
        return repr(self.source)


def counted(part: Part | Rows) -> tuple[ndarray, ndarray]:
    """Its examples and their targets without padding, on the host."""
    x, y, weights = part.first()
    kept = slice(None) if weights is None else np.asarray(weights) > 0
    return np.asarray(x)[kept], np.asarray(y)[kept]


def counted_targets(part: Part | Rows) -> ndarray:
    """Its targets without padding, on the host."""
    if isinstance(part, Part):
        return np.asarray(part.y)
    return counted(part)[1]
