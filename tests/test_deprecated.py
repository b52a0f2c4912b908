"""A name that changes warns for one version: by its old name, its new one, and where it is used."""

import importlib
import pkgutil
import re
import sys
import tomllib
import types
import warnings
from pathlib import Path

import jax
import pytest

import jaxopt_edu
from jaxopt_edu.values import deprecated
from jaxopt_edu.values.deprecated import (
    Renamed,
    renamed,
    renamed_argument,
    renamed_attributes,
    renamed_function,
)

ROOT = Path(__file__).parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture
def made(monkeypatch):
    """The names that a test renames; those of the package are kept apart."""
    monkeypatch.setattr(deprecated, "RENAMED", [])
    return deprecated.RENAMED


def heard(use, line=0):
    """What a call gives, and the warning that came from this line of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # once a line
        value = use()
    [warning] = caught
    assert warning.category is DeprecationWarning and warning.filename == __file__
    assert warning.lineno == use.__code__.co_firstlineno + line
    return value, str(warning.message)


def descend(start, learning_rate=0.1):
    return start - learning_rate


def test_a_function_under_its_old_name(made):
    old = renamed_function("walk_down", descend, since="0.2.0")
    value, said = heard(lambda: old(1.0, learning_rate=0.5))
    assert value == 0.5 and made == [Renamed("walk_down", "descend", "0.2.0")]
    assert said == "walk_down is called descend now; the old name goes away in 0.3.0"


def test_an_argument_by_its_old_name(made):
    new = renamed_argument("rate", "learning_rate", since="0.9.3")(descend)
    value, said = heard(lambda: new(1.0, rate=0.5))
    assert value == 0.5 and made == [Renamed("descend(rate=)", "learning_rate=", "0.9.3")]
    assert said == "descend(rate=) is called learning_rate= now; the old name goes away in 0.10.0"
    assert new(1.0, learning_rate=0.5) == new(1.0, 0.5) == 0.5  # without a warning
    with pytest.raises(TypeError, match="descend: rate= and learning_rate= are one argument"):
        new(1.0, rate=0.5, learning_rate=0.5)
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="multiple values"):
        new(1.0, 0.5, rate=0.5)


def test_a_field_of_a_class_by_its_old_name(made):
    class Descent:
        def __init__(self, learning_rate):
            self.learning_rate = learning_rate

    Descent.__init__ = renamed_argument("rate", "learning_rate", since="0.2.0")(Descent.__init__)
    value, said = heard(lambda: Descent(rate=0.5))
    assert value.learning_rate == 0.5 and said.startswith("Descent(rate=) is called")


def test_an_attribute_of_a_module_by_its_old_name(made, monkeypatch):
    module = types.ModuleType("paths")
    module.__path__ = []  # a package: its import looks for the name as well
    module.Descent = descend
    module.__getattr__ = renamed_attributes("paths", since="0.2.0", Walk="Descent")
    monkeypatch.setitem(sys.modules, "paths", module)

    def by_import():
        from paths import Walk

        return Walk

    said = "paths.Walk is called Descent now; the old name goes away in 0.3.0"
    assert heard(lambda: module.Walk) == heard(by_import, line=1) == (descend, said)
    with pytest.raises(AttributeError, match="module 'paths' has no attribute 'Wlak'"):
        heard(lambda: module.Wlak)


def test_the_line_is_the_users_however_deep_the_name_is_read(made):
    names = {"__name__": "jaxopt_edu.somewhere", "jax": jax}
    names["server"] = renamed("server.learning_rate", "optimizer.learning_rate", since="0.2.0")
    exec("def read(x):\n    server.warn()\n    return x", names)
    exec("def traced(x):\n    return jax.eval_shape(lambda y: read(y), x)", names)
    said = "server.learning_rate is called optimizer.learning_rate now; the old name goes away"
    assert heard(lambda: names["traced"](1.0))[1].startswith(said)
    assert heard(lambda: jax.jit(names["read"])(1.0))[1].startswith(said)


# ------------------------------------------------------------------------------------- the law


def unwritten(names, changelog):
    """Those of the names that the changelog does not deprecate in the version that renames them."""
    versions = dict(re.findall(r"^## (\S+)(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE))
    kinds = re.compile(r"^### (\w+)\n(.*?)(?=^### |\Z)", re.DOTALL | re.MULTILINE)
    texts = {v: dict(kinds.findall(text)).get("Deprecated", "") for v, text in versions.items()}
    return [
        name for name in names
        if not any(
            all(f"`{part}`" in line for part in (name.old, name.new)) and name.gone in line
            for line in texts.get(name.since, "").splitlines()
        )
    ]  # fmt: skip


def numbers(version):
    return tuple(map(int, version.split(".")))


def test_the_changelog_names_what_goes_away():
    for module in pkgutil.walk_packages(jaxopt_edu.__path__, "jaxopt_edu."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert unwritten(deprecated.RENAMED, CHANGELOG) == []
    for name in deprecated.RENAMED:
        assert numbers(name.since) <= numbers(VERSION) < numbers(name.gone), f"time is over: {name}"


def test_a_name_that_the_changelog_lacks_is_found():
    line = "- `walk` is called `descend`; until 0.3.0.\n"
    text = "## 0.2.0 - unreleased\n\n### Added\n- much\n\n### Deprecated\n" + line + "\n## 0.1.0\n"
    name = Renamed("walk", "descend", "0.2.0")
    assert unwritten([name], text) == []
    assert unwritten([name], text.replace("0.3.0", "0.4.0")) == [name]
    assert unwritten([name], text.replace("`descend`", "`go`")) == [name]
    assert unwritten([name], text.replace("Deprecated", "Changed")) == [name]
    assert unwritten([name], text.replace("## 0.2.0", "## 0.1.9")) == [name]


def test_the_changelog_begins_with_the_version_there_is():
    [first, *_] = re.findall(r"^## (\S+) - (unreleased|\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)
    assert first[0] == VERSION
