"""`check`: a student's rule beside the formula of a recipe, and which line of it is not kept.

The formula in the docstring is the judge; that it is the code, a test says. Every formula that
differs from it in one place (`mistakes`) is tried, then in two places; the one that does what the
student's rule does is what the student wrote.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxopt_edu.learn.check_results import CheckResult, blamed, far
from jaxopt_edu.learn.mistakes import in_one_place
from jaxopt_edu.learn.notation.docstrings import formula_named, recipes_by_name
from jaxopt_edu.learn.notation.evaluation import Scope, memory_of, start_of
from jaxopt_edu.learn.notation.nodes import Equation, Sym, symbols
from jaxopt_edu.learn.problems import Problem, problem_for
from jaxopt_edu.values.messages import nearest
from jaxopt_edu.values.pytrees import show

CLOSE = {np.float64: 1e-9, np.float32: 2e-4}  # relative: as exact as what the rule gives
PAIRS = 40_000  # formulas with two mistakes that are tried at most


def check(recipe: str, rule: Callable, /, seed: int = 0, **settings: object) -> CheckResult:
    """Holds a rule to the formula of a recipe, and says which line of it is wrong, and how.

    rule: a function, in NumPy or JAX, that asks by name for what it needs: t (the step, from 1 on),
        g, p, what is kept under the formula's letters (m, v; without hat and index), and the fields
        of the recipe (learning_rate, b1, ...). It returns u and what is kept, in the formula's
        order; u alone where nothing is.
        Fields that it does not ask for have their default.
    settings: of the recipe, as nesterov=True.
    Errors: ValueError where there is no such recipe, or it has no formula that can be run.
    Source: the formula in the docstring of the recipe.

    >>> import jaxopt_edu as jo
    >>> def my_signum(g, m, learning_rate, beta):
    ...     m = beta * m + g
    ...     return -learning_rate * np.sign(m), m
    >>> jo.learn.check("signum", my_signum)
    the factor (1 - beta) is missing:
      x m_t = beta m_{t-1} + (1 - beta) g_t
          yours: m_t = beta m_{t-1} + g_t
        u_t = -eta_t sign(m_t)
    """
    lines, kind = lines_of(recipe, rule, settings)
    problem = problem_for(kind, lines, usual_numbers(kind, rule) | settings, seed)
    student = Student(recipe, rule, lines, problem)
    told = student.run()
    if told is not None:
        return told
    if student.agrees():
        return CheckResult(True, None, student.praise())
    return student.one_mistake() or student.two_mistakes() or student.first_difference()


def lines_of(
    recipe: str, rule: Any, settings: Mapping[str, Any]
) -> tuple[tuple[Equation, ...], type]:
    """The equations that a rule is held to, and the class of the recipe."""
    recipes = recipes_by_name()
    if recipe not in recipes:
        raise ValueError(f"recipe = {recipe!r}: there is none; {nearest(recipe, recipes)}")
    found = formula_named(recipe)
    if found is None or not any(line.left.name == "u" for line in found.equations):
        raise ValueError(f"recipe = {recipe!r} has no formula of an update to check a rule by")
    if not callable(rule):
        raise TypeError(f"rule = {show(rule)}: wanted a function")
    kind = recipes[recipe]
    asked = inspect.signature(rule).parameters
    usual = {k: p.default for k, p in inspect.signature(kind).parameters.items()}
    used = {
        k: True for k in asked if usual.get(k, 0) is None
    }  # momentum, where the rule asks for it
    return found.where(**usual | used | dict(settings)), kind


def usual_numbers(kind: type, rule: Callable) -> dict[str, float]:
    """The defaults of the numbers for which a rule does not ask."""
    asked = inspect.signature(rule).parameters
    usual = {k: p.default for k, p in inspect.signature(kind).parameters.items() if k not in asked}
    return {
        k: float(x)
        for k, x in usual.items()
        if isinstance(x, int | float) and not isinstance(x, bool)
    }


class Student:
    """A rule that is looked at: what it was given, and what it gave."""

    def __init__(self, recipe: str, rule: Callable, lines: Sequence[Equation], problem: Problem):
        self.recipe, self.rule, self.lines, self.problem = recipe, rule, tuple(lines), problem
        self.kept = memory_of(lines)
        self.update = next(line.key for line in lines if line.left.name == "u")
        self.given: dict[str, Any] = {}  # of all steps, one behind the other
        self.gave: dict[str, np.ndarray] = {}
        self.close = CLOSE[np.float64]

    # ------------------------------------------------------------------------------ running

    def run(self) -> CheckResult | None:
        """Runs the rule on all steps; a verdict where that does not go."""
        problem, memory = (
            self.problem,
            start_of(self.lines, self.problem.symbols, self.problem.gradients[0]),
        )
        names = letters(self.kept)
        asked = inspect.signature(self.rule).parameters
        before: dict[str, list] = {name: [] for name in self.kept}
        after: list[list[np.ndarray]] = []
        for t, (g, p) in enumerate(zip(problem.gradients, problem.params, strict=True), 1):
            hand = (
                {"t": float(t), "g": g, "p": p}
                | {names[n]: x for n, x in memory.items()}
                | dict(problem.numbers)
            )
            unknown = [k for k, x in asked.items() if k not in hand and x.default is x.empty]
            if unknown:
                return CheckResult(
                    False,
                    None,
                    f"the rule asks for {', '.join(unknown)}; there are {', '.join(hand)}",
                )
            try:
                with np.errstate(all="ignore"):
                    out = self.rule(**{k: x for k, x in hand.items() if k in asked})
                out = [np.asarray(x) for x in (out if isinstance(out, tuple) else (out,))]
            except Exception as error:
                return CheckResult(
                    False, None, f"the rule does not run: {type(error).__name__}: {error}"
                )
            told = self._shaped(out, names)
            if told:
                return CheckResult(False, None, told)
            for name, x in memory.items():
                before[name].append(np.broadcast_to(x, g.shape))
            after.append([np.broadcast_to(np.asarray(x, float), g.shape) for x in out])
            memory = dict(zip(self.kept, after[-1][1:], strict=True))
            if any(x.dtype == np.float32 for x in out):
                self.close = CLOSE[np.float32]
        steps = np.arange(1.0, len(after) + 1)[:, None, None]
        self.given = {"t": steps, "g_t": problem.gradients, "g": problem.gradients}
        self.given |= {"p_t": problem.params, "p": problem.params} | problem.symbols
        self.given |= {f"{name}_{{t-1}}": np.array(x) for name, x in before.items()}
        keys = [self.update, *(f"{name}_t" for name in self.kept)]
        gave = {key: np.array([step[i] for step in after]) for i, key in enumerate(keys)}
        self.gave = {key: gave[key] for key in (*keys[1:], self.update)}  # the update is last
        return None

    def _shaped(self, out: list, names: Mapping[str, str]) -> str:
        wanted = ", ".join(["u", *names.values()])
        if len(out) != 1 + len(names):
            return f"the rule gives {len(out)} values; wanted {1 + len(names)}: {wanted}"
        shape = self.problem.gradients[0].shape
        for name, x in zip(["u", *names.values()], out, strict=True):
            if x.shape not in ((), shape, (shape[0], 1)):
                return f"{name} has shape {x.shape}; the gradient has {shape}"
        return ""

    # ---------------------------------------------------------------------------- comparing

    def agrees(self, *changed: tuple[int, Equation]) -> bool:
        """Whether the rule does what the lines say, with these in the place of others: at every
        step, from where it stood itself."""
        lines = [dict(changed).get(i, line) for i, line in enumerate(self.lines)]
        touched = {line.key for _, line in changed}
        fixed = {k: x for k, x in self.true.items() if not touched & {k, *self.needs[k]}}
        scope = Scope(lines, self.given | fixed)
        with np.errstate(all="ignore"):
            try:
                return all(far(scope[key], x) < self.close for key, x in self.gave.items())
            except (KeyError, RecursionError):
                return False

    @functools.cached_property
    def true(self) -> dict[str, Any]:
        """What the lines give, by key, from where the rule stood."""
        scope = Scope(self.lines, self.given)
        with np.errstate(all="ignore"):
            return {line.key: scope[line.key] for line in self.lines if line.left.time != "0"}

    @functools.cached_property
    def needs(self) -> dict[str, set[str]]:
        """The lines that each line is made of, and those that these are."""
        lines = {line.key: line for line in self.lines}
        found: dict[str, set[str]] = {}

        def of(key: str) -> set[str]:
            if key not in found:
                found[key] = set()
                direct = {s.key for s in symbols(lines[key].right)} & lines.keys()
                found[key] = direct.union(*map(of, direct))
            return found[key]

        return {key: of(key) for key in lines}

    @functools.cached_property
    def right(self) -> set[str]:
        """The keys of what comes out right."""
        with np.errstate(all="ignore"):
            return {key for key, x in self.gave.items() if far(self.true[key], x) < self.close}

    def suspects(self) -> list[int]:
        """Which lines may be wrong: those of which the first wrong value is made."""
        wrong = next(key for key in self.gave if key not in self.right)
        may = {wrong, *self.needs[wrong]} - self.right
        return [i for i, line in enumerate(self.lines) if line.key in may]

    def candidates(self, places: Iterable[int]) -> list[tuple[int, str, Equation]]:
        """(line, what is wrong, the line as it would be) of every mistake in one of these lines."""
        kept = [Sym(name, time="t-1") for name in self.kept]
        numbers = [Sym(name) for name in ("b1", "b2") if name in self.problem.numbers]
        found = []
        for i in places:
            line = self.lines[i]
            earlier = [x.left for x in self.lines[:i] if x.left.time == "t"]
            others = [Sym("g", time="t"), *earlier, *kept, *numbers]
            for told, new in in_one_place(line.right, others):
                found.append((i, told, replace(line, right=new)))
        return found

    def one_mistake(self) -> CheckResult | None:
        """The mistake in one place that does what the rule does."""
        for i, told, line in self.candidates(self.suspects()):
            if self.agrees((i, line)):
                return self._report([(i, told, line)])
        return None

    def two_mistakes(self) -> CheckResult | None:
        """Two mistakes, in two lines, that do what the rule does."""
        places = [
            i for i, x in enumerate(self.lines) if x.key in self.true and x.key not in self.right
        ]
        pairs = itertools.combinations(self.candidates(places), 2)
        apart = ((a, b) for a, b in pairs if a[0] != b[0])
        for (i, told, line), (j, also, other) in itertools.islice(apart, PAIRS):
            if self.agrees((i, line), (j, other)):
                return self._report([(i, told, line), (j, also, other)])
        return None

    # ------------------------------------------------------------------------------- telling

    def praise(self) -> str:
        steps, lanes, size = self.problem.gradients.shape
        problems = f"{steps} steps of {lanes} random problems of {size} numbers agree"
        return f"{self.recipe}: right. {problems}."

    def _report(self, found: list[tuple[int, str, Equation]]) -> CheckResult:
        told = " and ".join(told for _, told, _ in found)
        return blamed(self.lines, {i: line for i, _, line in found}, told)

    def first_difference(self) -> CheckResult:
        """No mistake that is known: the first value that differs, with both numbers."""
        key = next(key for key in self.gave if key not in self.right)
        yours = self.gave[key]
        ours = np.broadcast_to(self.true[key], yours.shape)
        step = next(
            t for t, (x, y) in enumerate(zip(ours, yours, strict=True)) if far(x, y) >= self.close
        )
        place = int(np.nanargmax(np.abs(ours[step] - yours[step]).ravel()))
        fine = f"; {', '.join(sorted(self.right))} come out right" if self.right else ""
        made_of = [self.lines[i].text for i in self.suspects()]
        shown = "\n".join(f"  x {line}" for line in made_of)
        return CheckResult(
            False, made_of[0] if len(made_of) == 1 else None,
            f"{key} differs from step {step + 1} on{fine}: look at\n{shown}\n"
            f"      ours {ours[step].ravel()[place]:.6g}, yours {yours[step].ravel()[place]:.6g}",
        )  # fmt: skip


def letters(kept: Sequence[str]) -> dict[str, str]:
    """The names of arguments for what is kept: without hats, or v and v_hat where both are kept."""
    bare = {name: name.removesuffix("^") for name in kept}
    both = len(set(bare.values())) < len(bare)
    return {name: name.replace("^", "_hat") for name in kept} if both else bare
