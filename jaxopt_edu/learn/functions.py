"""`check_loss` and `check_prox`: a function of one's own beside the formula of one of ours."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxopt_edu.learn.calling import NotRun, as_numbers, call, check_function, takes
from jaxopt_edu.learn.check_results import CheckResult, blamed, far
from jaxopt_edu.learn.mistakes import in_one_place
from jaxopt_edu.learn.notation.docstrings import formula_of
from jaxopt_edu.learn.notation.evaluation import Scope
from jaxopt_edu.learn.notation.nodes import Equation, Sym
from jaxopt_edu.nn import losses
from jaxopt_edu.optim import regularizers
from jaxopt_edu.values.messages import nearest
from jaxopt_edu.values.pytrees import show

EXAMPLES, CLASSES = 12, 4
CLOSE = 2e-5  # relative: a function may compute in float32
BY_CLASS = {  # losses over classes: whether their targets are numbers of classes
    "softmax_cross_entropy": False, "softmax_cross_entropy_with_integer_labels": True,
    "softmax_focal_loss_with_integer_labels": True, "multiclass_hinge_loss": True,
}  # fmt: skip
BY_NUMBER = ("squared_error", "l2_loss", "huber_loss", "log_cosh", "hinge_loss",
             "sigmoid_binary_cross_entropy", "sigmoid_focal_loss")  # fmt: skip
STRETCHED = "stretched"
COMPARED = (
    "(n, 1) and (n,) were stretched to (n, n): predictions along axis 1, targets along axis 0, so "
    "that each prediction is compared with every target; compare shapes first, or use "
    "predictions[:, 0]"
)
PENALTIES = ("L1", "L2", "ElasticNet")


def check_loss(
    name: str, f: Callable[..., object], /, seed: int = 0, **numbers: float
) -> CheckResult:
    """Holds a loss to the formula of one of ours: its line, its mean, and its shapes.

    f: a function of predictions and targets, in NumPy or JAX, that gives one number for each
        example, or their mean. numbers: what it is called with besides, as delta=1.0.
    It is also called with predictions (n, 1) and targets (n,), as a model with one output gives
    them: one that stretches these to (n, n) is wrong, and is told which axis it stretched.
    Errors: ValueError where there is no such loss that is checked.

    >>> import numpy as np
    >>> import jaxopt_edu as jo
    >>> print(jo.learn.check_loss("squared_error", lambda x, y: np.mean((x - y) ** 2)).message[:59])
    (n, 1) and (n,) were stretched to (n, n): predictions along
    """
    known = (*BY_NUMBER, *BY_CLASS)
    if name not in known:
        raise ValueError(
            f"name = {show(name)}: no loss that is checked; {nearest(str(name), known)}"
        )
    check_function("f", f)
    for number, value in numbers.items():
        if not isinstance(value, int | float):
            raise TypeError(f"{number} = {show(value)}: wanted a number")
    theirs = getattr(losses, name)
    usual = {k: p.default for k, p in inspect.signature(theirs).parameters.items()}
    given = {k: usual[k] for k in ("delta", "gamma") if isinstance(usual.get(k), float)} | numbers
    lines = _of(theirs, given)
    x, y = _drawn(name, seed)

    def by_formula(lines: tuple[Equation, ...]) -> np.ndarray:
        return np.array([_loss(lines, a, b, given) for a, b in zip(x, y, strict=True)])

    wanted = by_formula(lines)
    try:
        found = _called(f, x, y, numbers)
    except NotRun as error:
        return CheckResult(False, None, f"{name}: {error}")
    if found.shape not in ((), (EXAMPLES,)):
        return CheckResult(
            False, None, f"the loss has shape {found.shape}: wanted ({EXAMPLES},), one number for "
            f"each example, or (), their mean, for predictions {x.shape} and targets {y.shape}",
        )  # fmt: skip
    reductions: list[tuple[str | None, Any]] = [(None, wanted), (None, np.mean(wanted))]
    for told, reduced in (*reductions, ("sum", np.sum(wanted))):
        if np.shape(reduced) == found.shape and far(reduced, found) < CLOSE:
            if told:
                words = (
                    f"it is the sum over the examples, {EXAMPLES} times the mean: a learning rate "
                )
                return CheckResult(False, None, f"{words}that fits one batch size fits no other")
            column = _column(name, f, numbers)
            if column == STRETCHED:
                return CheckResult(False, None, COMPARED)
            return _elsewhere(name, f, seed, numbers, found.shape, column)
    return _mistaken(lines, by_formula, found) or _differs(lines, wanted, found)


def _elsewhere(
    name: str,
    f: Callable,
    seed: int,
    numbers: Mapping[str, float],
    shape: tuple[int, ...],
    column: str,
) -> CheckResult:
    """Right with these numbers: the verdict with others that it takes (delta, gamma), too."""
    usual = inspect.signature(getattr(losses, name)).parameters
    for number in ("delta", "gamma"):
        if number in usual and number not in numbers and takes(f)(number):
            for value in (0.5, 2.0):
                found = check_loss(name, f, seed, **{**numbers, number: value})
                if not found.ok:
                    return replace(found, message=f"with {number} = {value}: {found.message}")
    told = "the mean over the examples" if shape == () else "the loss of each example"
    beside = f"; (n, 1) beside (n,) is {column}" if column else ""
    return CheckResult(True, None, f"{name}: right, {told}{beside}")


def _column(name: str, f: Callable, numbers: Mapping[str, float]) -> str:
    """What f does with predictions (n, 1) beside targets (n,): "stretched" to (n, n), "refused", or
    "read as (n,)"; "" for a loss over classes."""
    if name in BY_CLASS:
        return ""
    x, y = _drawn(name, 1)
    try:
        found = _called(f, x[:, None], y, numbers)
    except NotRun:
        return "refused"
    if found.shape == ():
        stretched = far(np.mean(_called(f, x, y, numbers)), found) > CLOSE
    else:
        stretched = found.shape == (EXAMPLES, EXAMPLES)
    return STRETCHED if stretched else "read as (n,)"


def _called(f: Callable, x: np.ndarray, y: np.ndarray, numbers: Mapping[str, float]) -> Any:
    """f(x, y, **numbers) as numbers. Errors: NotRun."""
    return as_numbers("the loss", call(lambda: f(x.copy(), y.copy(), **numbers), {})).astype(float)


def _of(theirs: Any, given: Mapping[str, Any]) -> tuple[Equation, ...]:
    formula = formula_of(theirs)
    assert formula is not None
    return formula.where(**given)


def _loss(lines: tuple[Equation, ...], x: Any, y: Any, given: Mapping[str, Any]) -> float:
    return float(np.squeeze(Scope(lines, {"x": x, "y": y, **given})["l"]))


def _drawn(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets: numbers, or scores of classes."""
    rng = np.random.default_rng(seed)
    if name not in BY_CLASS:
        x = rng.normal(size=EXAMPLES) * 2
        targets = {"hinge_loss": np.sign(rng.normal(size=EXAMPLES))}
        soft = rng.uniform(0.05, 0.95, EXAMPLES)
        return x, targets.get(
            name, soft if name.startswith("sigmoid") else rng.normal(size=EXAMPLES)
        )
    x = rng.normal(size=(EXAMPLES, CLASSES))
    if BY_CLASS[name]:
        return x, rng.integers(CLASSES, size=EXAMPLES)
    y = rng.uniform(0.1, 1, (EXAMPLES, CLASSES))
    return x, y / y.sum(1, keepdims=True)


def _mistaken(
    lines: tuple[Equation, ...], by_formula: Callable, found: np.ndarray
) -> CheckResult | None:
    """The mistake in one line that gives these numbers, or their mean or sum."""
    for i, line in enumerate(lines):
        others = [Sym(s.name, axes=s.axes) for x in lines for s in (x.left,) if s != line.left]
        for told, new in in_one_place(line.right, others):
            changed = (*lines[:i], replace(line, right=new), *lines[i + 1 :])
            with np.errstate(all="ignore"):
                try:
                    values = by_formula(changed)
                except (KeyError, RecursionError, ValueError, IndexError):
                    continue
            for value in (values, np.mean(values), np.sum(values)):
                if np.shape(value) == found.shape and far(value, found) < CLOSE:
                    verdict = blamed(lines, {i: replace(line, right=new)}, told)
                    return replace(verdict, message=f"{verdict.message}\n{_letters(lines)}")
    return None


def _letters(lines: tuple[Equation, ...]) -> str:
    """What x and y of a loss's formula are."""
    used = {s.name for line in lines for s in line.right.all() if isinstance(s, Sym)}
    names = {"x": "the prediction", "y": "the target"}
    return f"({', '.join(f'{k}: {names[k]}' for k in names if k in used)})"


def _differs(lines: tuple[Equation, ...], wanted: np.ndarray, found: np.ndarray) -> CheckResult:
    ours = wanted if found.shape else np.mean(wanted)
    place = int(np.argmax(np.abs(np.ravel(ours) - np.ravel(found))))
    which = f"example {place}" if found.shape else "the mean"
    numbers = f"ours {np.ravel(ours)[place]:.6g}, yours {np.ravel(found)[place]:.6g}"
    shown = "\n".join(f"    {line.text}" for line in lines)
    return CheckResult(False, lines[0].text, f"{which} differs: {numbers}\n{shown}")


# ------------------------------------------------------------------------------- proximal operators


def check_prox(name: str, f: Callable[..., object], /, seed: int = 0) -> CheckResult:
    """Holds a proximal operator to that of L1, L2 or ElasticNet.

    f: a function that asks by name for what it needs: w, an array; s, the step; weight, and
        l1_ratio of ElasticNet. It gives the array that minimizes s r(v) + |v - w|^2 / 2.
    Errors: ValueError where there is no such penalty.

    >>> import numpy as np
    >>> import jaxopt_edu as jo
    >>> jo.learn.check_prox("L1", lambda w, s, weight: np.sign(w) * (abs(w) - s * weight))
    only |w| - s weight is taken, without the max:
        r(w) = weight sum_i |w_i|
      > prox_{s r}(w) = sign(w) max(|w| - s weight, 0)
          yours: prox_{s r}(w) = sign(w) (|w| - s weight)
    """
    if name not in PENALTIES:
        raise ValueError(f"name = {show(name)}: no penalty; {nearest(str(name), PENALTIES)}")
    check_function("f", f)
    lines = _of(getattr(regularizers, name), {})
    place = next(i for i, line in enumerate(lines) if line.left.name == "prox")
    rng = np.random.default_rng(seed)
    problems = [_problem(name, rng) for _ in range(3)]
    found = []
    for given in problems:
        try:
            found.append(as_numbers("the result", call(f, given)).astype(float))
        except NotRun as error:
            return CheckResult(False, None, f"{name}: {error}")
        if found[-1].shape != given["w"].shape:
            shapes = f"it has shape {found[-1].shape}, w has {given['w'].shape}"
            return CheckResult(False, None, f"{name}: {shapes}")

    def by_formula(lines: tuple[Equation, ...]) -> list[np.ndarray]:
        return [np.asarray(Scope(lines, x).called("prox", [x["w"]])) for x in problems]

    def agrees(lines: tuple[Equation, ...]) -> bool:
        with np.errstate(all="ignore"):
            pairs = zip(by_formula(lines), found, strict=True)
            return all(far(x, y) < CLOSE for x, y in pairs)

    if agrees(lines):
        return CheckResult(True, None, f"the proximal operator of {name}: right")
    for told, new in in_one_place(lines[place].right):
        changed = (*lines[:place], replace(lines[place], right=new), *lines[place + 1 :])
        if agrees(changed):
            return blamed(lines, {place: changed[place]}, told)
    k = next(i for i, x in enumerate(by_formula(lines)) if far(x, found[i]) >= CLOSE)
    return _branch(lines[place], problems[k], by_formula(lines)[k], found[k])


def _problem(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Numbers around a threshold that is another one each time."""
    s, weight = rng.uniform(0.3, 2.0, 2)
    given = {"w": rng.normal(size=40) * 2 * s * weight, "s": float(s), "weight": float(weight)}
    return given | ({"l1_ratio": float(rng.uniform(0.2, 0.8))} if name == "ElasticNet" else {})


def _branch(
    line: Equation, given: Mapping[str, Any], wanted: np.ndarray, found: np.ndarray
) -> CheckResult:
    """Where it is wrong: below the threshold, above it, or for one sign."""
    w, off = given["w"], ~np.isclose(wanted, found, CLOSE, CLOSE)
    threshold = given["s"] * given["weight"] * given.get("l1_ratio", 1.0)
    edge = "s weight l1_ratio" if "l1_ratio" in given else "s weight"
    cases = {
        f"|w| < {edge}": abs(w) < threshold, f"|w| > {edge}": abs(w) >= threshold,
        "w > 0": w > 0, "w < 0": w < 0,
    }  # fmt: skip
    where = next(
        (f" where {case}" for case, at in cases.items() if off.any() and not off[~at].any()), ""
    )
    k = int(np.argmax(np.abs(wanted - found)))
    return CheckResult(
        False, line.text,
        f"it is wrong{where}, at w = {w[k]:.4g}: ours {wanted[k]:.6g}, yours {found[k]:.6g}\n"
        f"  > {line.text}",
    )  # fmt: skip
