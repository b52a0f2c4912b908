"""`check`: a student's rule beside the formula of a recipe, and which line of it is not kept.

The formula in the docstring is the judge; that it is the code, a test says. Every formula that
differs from it in one place (`mistakes`) is tried, then in two places; the one that does what the
student's rule does is what the student wrote.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxopt_edu.learn.calling import NotRun, check_function, takes
from jaxopt_edu.learn.check_results import CheckResult
from jaxopt_edu.learn.notation.docstrings import formula_named, recipes_by_name
from jaxopt_edu.learn.notation.nodes import Equation
from jaxopt_edu.learn.problems import problem_for
from jaxopt_edu.learn.students import Student
from jaxopt_edu.values.messages import nearest
from jaxopt_edu.values.pytrees import show


def check(
    recipe: str, rule: Callable[..., object], /, seed: int = 0, **settings: object
) -> CheckResult:
    """Holds a rule to the formula of a recipe, and says which line of it is wrong, and how.

    rule: a function, in NumPy or JAX, that asks by name for what it needs: t (the step, from 1 on),
        g, p, what is kept under the formula's letters (m, v; without hat and index), and the fields
        of the recipe (learning_rate, b1, ...). It returns u and what is kept, in the formula's
        order; u alone where nothing is.
        Fields that it does not ask for have their default.
    settings: of the recipe, as nesterov=True.
    Errors: ValueError where there is no such recipe, or it has no formula that can be run; those of
        the recipe for settings; TypeError where the rule is no function whose arguments have names.
    Source: the formula in the docstring of the recipe.

    >>> import numpy as np
    >>> import jaxopt_edu as jo
    >>> def my_signum(g, m, learning_rate, beta):
    ...     m = beta * m + g
    ...     return -learning_rate * np.sign(m), m
    >>> jo.learn.check("signum", my_signum)
    the factor (1 - beta) is missing:
      > m_t = beta m_{t-1} + (1 - beta) g_t
          yours: m_t = beta m_{t-1} + g_t
        u_t = -eta_t sign(m_t)
    """
    lines, kind = lines_of(recipe, rule, settings)
    problem = problem_for(kind, lines, usual_numbers(kind, rule) | _numbers(settings), seed)
    student = Student(recipe, rule, lines, problem)
    try:
        student.run()
    except NotRun as told:
        return CheckResult(False, None, f"{recipe}: {told}")
    if student.agrees():
        return CheckResult(True, None, student.praise())
    return (
        student.wrongly_returned() or student.one_mistake() or student.two_mistakes()
        or student.first_difference()
    )  # fmt: skip


def lines_of(
    recipe: str, rule: Any, settings: Mapping[str, Any]
) -> tuple[tuple[Equation, ...], type]:
    """The equations that a rule is held to, and the class of the recipe."""
    recipes = recipes_by_name()
    if not isinstance(recipe, str) or recipe not in recipes:
        raise ValueError(f"recipe = {show(recipe)}: wanted a name; {nearest(str(recipe), recipes)}")
    found = formula_named(recipe)
    if found is None or not any(line.left.name == "u" for line in found.equations):
        raise ValueError(f"recipe = {recipe!r} has no formula of an update to check a rule by")
    check_function("rule", rule)
    kind = recipes[recipe]
    usual = {k: p.default for k, p in inspect.signature(kind).parameters.items()}
    _check_settings(recipe, kind, usual, settings)
    asked = takes(rule)
    # what is None by default (momentum) is a number where the rule asks for it
    used = {k: True for k, x in usual.items() if x is None and asked(k) and k in _asked(rule)}
    return found.where(**usual | used | dict(settings)), kind


def _check_settings(recipe: str, kind: Any, usual: Mapping, settings: Mapping) -> None:
    """The errors of the recipe itself, and TypeError for what the formula cannot take."""
    needed = {k: 0.1 for k, x in usual.items() if x is inspect.Parameter.empty}
    unknown = [k for k in settings if k not in usual]
    if unknown:
        hint = nearest(unknown[0], usual)
        raise TypeError(f"{recipe}: there is no argument {unknown[0]!r}; {hint}")
    kind(**needed | dict(settings))
    for field in dataclasses.fields(kind):
        given = settings.get(field.name, 0.0)
        if "low" in field.metadata and given is not None and not isinstance(given, int | float):
            raise TypeError(f"{field.name} = {show(given)}: wanted a number to check a rule by")


def _asked(rule: Callable) -> set[str]:
    return set(inspect.signature(rule).parameters)


def _numbers(settings: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among settings or defaults."""
    numeric = {k: x for k, x in settings.items() if isinstance(x, int | float)}
    return {k: float(x) for k, x in numeric.items() if not isinstance(x, bool)}


def usual_numbers(kind: type, rule: Callable) -> dict[str, float]:
    """The defaults of the numbers for which a rule does not ask."""
    asked = takes(rule)
    usual = {k: p.default for k, p in inspect.signature(kind).parameters.items() if not asked(k)}
    return _numbers(usual)
