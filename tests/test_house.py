"""The house in order: imports run one way, files stay short, importing is cheap."""

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jax
from test_public import public

import jaxopt_edu
from jaxopt_edu.optim.optimizers.adam_family import Adam, AdamState

ROOT = Path(jaxopt_edu.__file__).parent
MOST_ROOMS = 16  # files and folders of the package, without __init__ and __main__


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, path.relative_to(ROOT).with_suffix("").parts


def known():
    """Module -> file; a package is its __init__."""
    return {
        parts[:-1] if parts[-1] == "__init__" else parts: path
        for path, parts in modules()
        if parts != ("__main__",)
    }


def imports(path, files):
    """Modules of the package that a file imports, wherever in it, for annotations too."""
    for node in ast.walk(ast.parse(path.read_text())):
        found = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxopt_edu"):
            whole = [(*node.module.split(".")[1:], a.name) for a in node.names]
            found = [w if w in files else w[:-1] for w in whole]
        elif isinstance(node, ast.Import):
            found = [tuple(a.name.split(".")[1:]) for a in node.names if is_ours(a.name)]
        yield from (target for target in found if target)


def is_ours(name):
    return name.split(".")[0] == "jaxopt_edu"


def order():
    """The rooms in the order of the README's table."""
    text = (ROOT.parent / "README.md").read_text()
    table = text.split("## What is where")[1].split("\n## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| [")]
    return re.findall(r"\[(\w+)(?:\.py|/)\]\(jaxopt_edu/", " ".join(first))


def printed_by_init():
    """The rooms in the order in which `__init__` imports from them."""
    found = []
    for node in ast.parse((ROOT / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and is_ours(node.module):
            whole = node.module == "jaxopt_edu"
            found += [a.name for a in node.names] if whole else [node.module.split(".")[1]]
    return [room for room, before in zip(found, [None, *found], strict=False) if room != before]


def test_there_are_few_rooms_and_the_readme_names_each():
    found = {parts[0] for _, parts in modules()} - {"__init__", "__main__"}
    assert sorted(order()) == sorted(found)
    assert len(found) <= MOST_ROOMS


def test_the_order_that_is_printed_is_the_order_of_imports():
    printed = printed_by_init()
    assert printed == [room for room in order() if room in printed]
    assert set(order()) - set(printed) <= {"learn", "cli", "launch"}  # imported when asked for


def test_imports_run_down_only():
    files, rooms = known(), [*order(), "__main__"]
    for path, parts in modules():
        if len(parts) == 1 and parts[0] in ("__init__", "__main__"):
            continue
        for target in imports(path, files):
            if target[0] != parts[0]:
                arrow = f"{'.'.join(parts)} imports {'.'.join(target)}"
                assert rooms.index(target[0]) < rooms.index(parts[0]), arrow


def test_no_circles():
    """No file needs itself, by whatever way, and for annotations neither.

    A package's __init__ hands names on: who imports from it needs what it hands on.
    """
    files = known()
    files.pop(())
    inner = {m: set(imports(path, files)) - {m} for m, path in files.items()}
    done = set()
    while ready := {m for m in inner if m not in done and inner[m] <= done}:
        done |= ready
    left = set(inner) - done
    while idle := {m for m in left if not any(m in inner[other] for other in left)}:
        left -= idle  # they only need files of a circle
    assert not left, [f"{'.'.join(m)} -> {'.'.join(t)}" for m in left for t in inner[m] & left]


def test_attributes_that_are_named_like_modules_are_the_modules():
    for module in pkgutil.walk_packages(jaxopt_edu.__path__, "jaxopt_edu."):
        names = module.name.split(".")[1:]
        if names != ["__main__"]:
            found = importlib.import_module(module.name)
            assert functools.reduce(getattr, names, jaxopt_edu) is found, module.name


def test_no_file_is_named_like_what_it_holds():
    for module in pkgutil.walk_packages(jaxopt_edu.__path__, "jaxopt_edu."):
        name = module.name.rpartition(".")[2]
        if name != "__main__":
            thing = getattr(importlib.import_module(module.name), name, None)
            assert thing is None or inspect.ismodule(thing), f"{module.name} holds {thing}"


def test_namespaces_of_the_package_are_modules():
    """`jo.losses` is a module that stands elsewhere, where there is no `jaxopt_edu.losses`."""
    for name in jaxopt_edu.__all__:
        thing = getattr(jaxopt_edu, name)
        if inspect.ismodule(thing) and not (ROOT / name).exists():
            assert thing.__name__.startswith("jaxopt_edu.")
            assert not (ROOT / f"{name}.py").exists(), name


def test_files_are_short_and_ascii():
    for path, _ in modules():
        text = path.read_text()
        assert text.isascii(), path
        assert text.count("\n") <= 320, path


def test_adam_is_read_in_sixty_lines_of_one_file():
    lines = inspect.getsource(AdamState) + inspect.getsource(Adam)
    assert lines.count("\n") <= 60


def test_what_a_step_of_adam_runs_is_read_in_eighty_lines_of_four_files():
    run, params = set(), {"w": jax.numpy.ones(3), "b": jax.numpy.ones(())}

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(ROOT):
            return None
        if event == "line":
            run.add((path.relative_to(ROOT), frame.f_lineno))
        return note

    def step():
        optimizer = jaxopt_edu.adam(1e-3)
        updates, _ = optimizer.update(params, optimizer.init(params), params)
        jaxopt_edu.apply_updates(params, updates)

    step()  # what is compiled by it may be listened to: that is no part of a step
    before = sys.gettrace()
    sys.settrace(note)
    try:
        step()
    finally:
        sys.settrace(before)
    assert 50 < len(run) <= 80 and len({path for path, _ in run}) <= 4, len(run)


def test_import_is_light():
    code = (
        "import sys, jax, jax.numpy; before = set(sys.modules); import jaxopt_edu;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "heavy = {'sklearn', 'pandas', 'matplotlib', 'optax', 'optuna', 'tqdm', 'flax'};"
        "print(sorted(new & heavy), 'scipy.stats' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["[]", "False"]


def test_everything_public_says_what_it_does():
    for name, thing in public(jaxopt_edu):
        if inspect.isclass(thing) or inspect.isfunction(thing):
            said = (thing.__doc__ or "").strip()
            assert said and not said.startswith(f"{thing.__name__}("), name  # not by dataclass


def test_the_optimizer_of_a_training_is_called_in_one_place():
    """Also of a training that a client makes; race and tune drive optimizers on their own."""
    calls = [
        path.relative_to(ROOT).as_posix()
        for path, _ in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr in ("optimizer", "local", "server")
    ]
    assert calls == ["train/training.py"]
