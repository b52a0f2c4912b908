"""A student's rule that is looked at: run on random problems, and held to lines of a formula.

Every step is compared from where the rule itself stood before it, so that a mistake in what is kept
shows in its own line alone, and all steps are compared at once.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxopt_edu.learn.calling import NotRun, as_numbers, call
from jaxopt_edu.learn.check_results import CheckResult, blamed, far
from jaxopt_edu.learn.mistakes import in_one_place
from jaxopt_edu.learn.notation.evaluation import Scope, memory_of, start_of
from jaxopt_edu.learn.notation.nodes import Equation, Sym, symbols
from jaxopt_edu.learn.problems import Problem

CLOSE = {np.float64: 1e-9, np.float32: 2e-4}  # relative: as exact as what the rule gives
PAIRS = 40_000  # formulas with two mistakes that are tried at most


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

    def run(self) -> None:
        """Runs the rule on all steps. Errors: NotRun."""
        problem = self.problem
        memory = start_of(self.lines, problem.symbols, problem.gradients[0])
        names = letters(self.kept)
        before: dict[str, list] = {name: [] for name in self.kept}
        after: list[list[np.ndarray]] = []
        for t, (g, p) in enumerate(zip(problem.gradients, problem.params, strict=True), 1):
            hand = {"t": float(t), "g": g, "p": p} | {names[n]: x for n, x in memory.items()}
            out = self._shaped(call(self.rule, hand | dict(problem.numbers)), names)
            for name, x in memory.items():
                before[name].append(np.broadcast_to(x, g.shape))
            after.append([np.broadcast_to(x.astype(float), g.shape) for x in out])
            memory = dict(zip(self.kept, after[-1][1:], strict=True))
            if any(x.dtype.itemsize < 8 and x.dtype.kind == "f" for x in out):
                self.close = CLOSE[np.float32]
        steps = np.arange(1.0, len(after) + 1)[:, None, None]
        self.given = {"t": steps, "g_t": problem.gradients, "g": problem.gradients}
        self.given |= {"p_t": problem.params, "p": problem.params} | problem.symbols
        self.given |= {f"{name}_{{t-1}}": np.array(x) for name, x in before.items()}
        keys = [self.update, *(f"{name}_t" for name in self.kept)]
        gave = {key: np.array([step[i] for step in after]) for i, key in enumerate(keys)}
        self.gave = {key: gave[key] for key in (*keys[1:], self.update)}  # the update is last

    def _shaped(self, out: Any, names: Mapping[str, str]) -> list[np.ndarray]:
        """What the rule gave, as arrays. Errors: NotRun where that is not what is wanted."""
        found = list(out) if isinstance(out, tuple | list) else [out]
        wanted = ["u", *names.values()]
        if len(found) != len(wanted):
            words = f"it gives {len(found)} values; wanted {len(wanted)}: {', '.join(wanted)}"
            raise NotRun(words)
        shape = self.problem.gradients[0].shape
        arrays = [as_numbers(name, x) for name, x in zip(wanted, found, strict=True)]
        for name, x in zip(wanted, arrays, strict=True):
            if x.shape not in ((), shape, (shape[0], 1)):
                raise NotRun(f"{name} has shape {x.shape}; the gradient has {shape}")
        return arrays

    # ---------------------------------------------------------------------------- comparing

    def agrees(self, *changed: tuple[int, Equation]) -> bool:
        """Whether the rule does what the lines say, with these in the place of others: at every
        step, from where it stood itself."""
        lines = [dict(changed).get(i, line) for i, line in enumerate(self.lines)]
        touched = {line.key for _, line in changed}
        fixed = {k: x for k, x in self.true.items() if not touched & {k, *self.needs[k]}}
        scope = Scope(lines, self.given | fixed)
        if changed and not self.told:
            return False
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

    @functools.cached_property
    def told(self) -> bool:
        """Whether what is wrong says anything: there are numbers in it, not NaN alone."""
        wrong = [x for key, x in self.gave.items() if key not in self.right]
        return not wrong or any(np.isfinite(x).any() for x in wrong)

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

    def wrongly_returned(self) -> CheckResult | None:
        """What is right, but returned in another order: seen at the first step."""
        keys, shape = list(self.gave), self.problem.gradients.shape
        true = {key: np.broadcast_to(self.true[key], shape)[0] for key in keys}
        with np.errstate(all="ignore"):
            for order in itertools.permutations(keys):
                pairs = zip(keys, order, strict=True)
                if all(far(self.gave[key][0], true[is_]) < self.close for key, is_ in pairs):
                    break
            else:
                return None
        moved = [key for key, is_ in zip(keys, order, strict=True) if key != is_]
        if not moved:
            return None
        wanted = ", ".join(["u", *letters(self.kept).values()])
        words = f"{', '.join(moved)} are right, but returned in another order; wanted {wanted}"
        return CheckResult(False, None, f"{self.recipe}: {words}")

    def one_mistake(self) -> CheckResult | None:
        """The mistake in one place that does what the rule does, and others that do the same."""
        same = [x for x in self.candidates(self.suspects()) if self.agrees((x[0], x[2]))]
        if not same:
            return None
        first = same[0]
        others = [f"{told}, in {self.lines[i].key}" for i, told, _ in same if i != first[0]]
        more = f"\n  (or {others[0]}: that does the same)" if others else ""
        return self._report([first], more)

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

    def _report(self, found: list[tuple[int, str, Equation]], more: str = "") -> CheckResult:
        told = " and ".join(dict.fromkeys(told for _, told, _ in found))
        result = blamed(self.lines, {i: line for i, _, line in found}, told)
        return replace(result, message=result.message + more)

    def first_difference(self) -> CheckResult:
        """No mistake that is known: the first value that differs, with both numbers."""
        key = next(key for key in self.gave if key not in self.right)
        yours = self.gave[key]
        ours = np.broadcast_to(self.true[key], yours.shape)
        apart = (far(x, y) >= self.close for x, y in zip(ours, yours, strict=True))
        step = next(t for t, far_ in enumerate(apart) if far_)
        off = np.abs(ours[step] - yours[step]).ravel()
        place = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        fine = f"; {', '.join(sorted(self.right))} come out right" if self.right else ""
        if not self.told:
            return CheckResult(False, None, f"{key} is {yours.ravel()[0]:g} everywhere{fine}")
        made_of = [self.lines[i].text for i in self.suspects()]
        shown = "\n".join(f"  > {line}" for line in made_of)
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
