"""The text of `--space NAME=VALUE`, read without evaluating it."""

import ast
from typing import Any

from jaxopt_edu.values import space
from jaxopt_edu.values.pytrees import nearest

MAKERS = {
    f.__name__: f
    for f in (space.uniform, space.log_uniform, space.int_uniform, space.choice, space.one_of)
}


def parse_setting(text: str) -> tuple[str, Any]:
    """'learning_rate=log_uniform(1e-4, 1e-1)' -> ('learning_rate', log_uniform(0.0001, 0.1))

    The value is a literal (number, string, tuple, None) or a distribution of literals.
    Errors: ValueError that shows the text.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--space {text!r}: wanted NAME=VALUE")
    try:
        node = ast.parse(value.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"--space {text!r}: cannot read {value.strip()!r}") from None
    return name.strip(), _value(node, text)


def _value(node: ast.AST, text: str) -> Any:
    if not isinstance(node, ast.Call):
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise ValueError(f"--space {text!r}: wanted numbers, strings or tuples") from None
    maker = node.func.id if isinstance(node.func, ast.Name) else ""
    if maker not in MAKERS:
        raise ValueError(f"--space {text!r}: unknown {maker!r}; {nearest(maker, MAKERS)}")
    if node.keywords:
        raise ValueError(f"--space {text!r}: {maker} takes no keywords here")
    try:
        return MAKERS[maker](*(_value(argument, text) for argument in node.args))
    except TypeError as error:
        raise ValueError(f"--space {text!r}: {error}") from None
