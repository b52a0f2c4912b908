"""The house in order: imports run one way, files stay short, importing is cheap."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from test_public import public

import jaxopt_edu
from jaxopt_edu.optimizers.adam import Adam, AdamState

ROOT = Path(jaxopt_edu.__file__).parent
ORDER = [
    "words", "deprecated", "asides", "hashing", "value", "notebook", "names", "labels", "tree",
    "keys", "branches", "placement", "extra_args", "core",
    "schedules", "kinds", "arrays", "shapes", "link", "losses", "decisions", "metrics", "scores",
    "lengths", "regularizers", "prior", "transforms", "optimizers", "models", "data",
    "fingerprint", "edited", "augment", "space", "targets", "measures", "ingredients",
    "train", "checks", "status", "lane", "programs", "tiles", "workers", "engine", "widths",
    "monitor", "progress", "files", "versions", "lock", "plainly", "named", "exchange", "disk", "lane_arrays",
    "formats", "describe", "archive",
    "saved", "model_file", "history", "parallel", "fit", "hypergradient", "tune", "privacy",
    "federated", "sweep", "interop", "explain", "validation", "functions", "race", "plot",
    "diagnose", "find", "report", "parse", "options", "cache", "build", "leaderboard",
    "predictions", "commands", "cli", "launch", "__main__",
]  # fmt: skip

HIDDEN = {  # modules that a function of their name hides; this list may only become shorter
    "data.load", "data.pipeline", "diagnose", "fingerprint", "fit", "hypergradient",
    "optimizers.adam", "optimizers.sgd", "plot.importance", "prior", "race", "sweep",
    "sweep.optuna", "sweep.population", "tune",
}  # fmt: skip


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, path.relative_to(ROOT).with_suffix("").parts


def imports(path):
    """Dotted names within the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxopt_edu"):
            package = node.module == "jaxopt_edu"
            names = [f"jaxopt_edu.{a.name}" for a in node.names] if package else [node.module]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("jaxopt_edu.")]
        yield from (tuple(name.split(".")[1:]) for name in names)


def test_every_chapter_has_its_place():
    found = {parts[0] for _, parts in modules()} - {"__init__"}
    assert found == set(ORDER)


def test_imports_run_down_only():
    for path, parts in modules():
        if parts == ("__init__",):
            continue
        for target in imports(path):
            if target[0] != parts[0]:
                assert ORDER.index(target[0]) < ORDER.index(parts[0]), f"{path} imports {target}"


def printed_by_init():
    """The chapters in the order in which `__init__` imports them."""
    found = []
    for node in ast.parse((ROOT / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            whole = node.module == "jaxopt_edu"
            found += [a.name for a in node.names] if whole else [node.module.split(".")[1]]
    return list(dict.fromkeys(found))


def printed_by_readme():
    """The chapters in the order of the README's table."""
    text = (ROOT.parent / "README.md").read_text()
    table = text.split("## What is where")[1].split("## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| [")]
    return re.findall(r"\[(\w+)(?:\.py|/)\]\(jaxopt_edu/", " ".join(first))


@pytest.mark.parametrize("printed", [printed_by_init, printed_by_readme])
def test_the_order_that_is_printed_is_the_order_of_imports(printed):
    chapters = printed()
    assert len(chapters) > 25
    assert chapters == [name for name in ORDER if name in chapters]


def test_no_circles_inside_a_chapter():
    graph = {parts: set(imports(path)) for path, parts in modules() if len(parts) > 1}
    inner = {p: {t for t in graph[p] if t in graph and t != p} for p in graph}
    done = set()
    while ready := {p for p in inner if p not in done and inner[p] <= done}:
        done |= ready
    assert done == set(inner), set(inner) - done


def test_attributes_that_are_named_like_modules_are_the_modules():
    hidden = set()
    for module in pkgutil.walk_packages(jaxopt_edu.__path__, "jaxopt_edu."):
        path = module.name.split(".")[1:]
        if path != ["__main__"]:
            found = importlib.import_module(module.name)
            parent = sys.modules[module.name.rpartition(".")[0]]
            if getattr(parent, path[-1]) is not found:
                hidden.add(".".join(path))
    assert hidden <= HIDDEN, f"an attribute hides the module: {hidden - HIDDEN}"
    assert hidden >= HIDDEN, f"no longer hidden, take them off the list: {HIDDEN - hidden}"


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
