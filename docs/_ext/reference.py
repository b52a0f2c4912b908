"""Sphinx: the reference, written into docs/reference from what is public when a build begins.

Each page tells a part of the library in the order in which its modules are read.
"""

import dataclasses
import functools
import inspect
import sys
from pathlib import Path
from typing import Any

import docstrings
import public
from docutils import nodes
from entries import told
from public import Entry
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

from jaxopt_edu.storage.files import write_text

logger = logging.getLogger(__name__)
WHERE = "reference"


@dataclasses.dataclass(frozen=True)
class Page:
    """name: of the file. modules: what is written in or below these is told here, in this order."""

    name: str
    title: str
    words: str
    modules: tuple[str, ...]
    parts: bool = False  # a heading for each module


PAGES = (
    Page("training", "Training", "An experiment, and how it is run.",
         ("train.training", "engine.fitting", "engine.history", "train", "engine")),
    Page("optimizers", "Optimizers", "Each is a value: its numbers are its fields.",
         ("optim.optimizers.descent", "optim.optimizers.adaptive",
          "optim.optimizers.adam_family", "optim.optimizers"), True),
    Page("schedules", "Schedules", "Learning rates that change with the step.",
         ("optim.schedules",), True),
    Page("transforms", "Transforms",
         "What optimizers are made of, and how they are joined, masked and wrapped.",
         ("optim.transforms", "optim.transform", "optim.step_sizes", "optim.extra_args",
          "optim.interop"), True),
    Page("regularizers", "Regularizers", "Penalties, and priors of which they follow.",
         ("optim.regularizers", "optim.priors")),
    Page("losses", "Losses", "What is minimized.",
         ("nn.losses.regression", "nn.losses.classification", "nn.losses", "nn.shapes"), True),
    Page("metrics", "Metrics", "What is reported.", ("nn.metrics",)),
    Page("models", "Models", "Functions of parameters.",
         ("nn.models.linear", "nn.models.mlp", "nn.models.cnn", "nn.models.transformer",
          "nn.models"), True),
    Page("data", "Data", "Loading, splitting and preparing data.",
         ("data.loading", "data.sources", "data.dataset", "data.preparation", "data"), True),
    Page("augment", "Augmentation", "Examples changed at random before a step sees them.",
         ("data.augment",), True),
    Page("spaces", "Search spaces", "Distributions for numbers, alternatives for structure.",
         ("values.space", "values.optuna_space", "values.labelling")),
    Page("sweeps", "Sweeps", "Many trainings at once, and which of them was best.",
         ("search.sweeping", "search.study", "search.samplers", "search.schedulers", "search")),
    Page("hypergradients", "Hypergradients", "Derivatives through a training.",
         ("search.gradient_search", "search.hypergradients")),
    Page("validation", "Validation", "Cross-validation, and what follows from it.",
         ("analysis.validation", "analysis.shares")),
    Page("explain", "Explanations", "Which features a prediction comes from.",
         ("analysis.explain",)),
    Page("diagnosis", "Diagnosis", "What is wrong with a training, and good first numbers.",
         ("diagnosis",)),
    Page("functions", "Test functions", "Functions of two numbers, and races on them.",
         ("analysis.functions", "analysis.races", "functions")),
    Page("plots", "Plots and reports", "Pictures of studies, runs and explanations.", ("view",)),
    Page("privacy", "Privacy", "Differentially private training, accounting, encryption.",
         ("privacy",), True),
    Page("federated", "Federated learning", "Training on many clients' data.", ("federated",)),
    Page("learn", "Learning", "Checkers of one's own code, and what pages are made of.",
         ("learn.rules", "learn.check_results", "learn.functions", "learn.gradients",
          "learn.handling", "learn.laws", "learn.exploring", "learn.results", "learn.axis",
          "learn")),
    Page("command_line", "The command line", "What ``jaxopt-edu`` runs, called from Python.",
         ("cli",)),
    Page("storage", "Saving and loading", "Experiments and models in files.", ("storage",)),
    Page("values", "Values", "What experiments, optimizers and models are made of.",
         ("values.pytrees", "values.names")),
    Page("tree", "Trees of arrays", "Arithmetic on trees of arrays.", ("values.tree",)),
)  # fmt: skip


def place_of(entry: Entry) -> tuple[Page, int]:
    """The page that tells it, that of the longest module, and the place of this among the page's.

    Errors: LookupError where there is none: a new part of the library wants a page.
    """
    home = f"{entry.home}.".removeprefix(f"{public.ROOT}.") or "values.pytrees."
    found = [(len(m), page, page.modules.index(m))
             for page in PAGES for m in page.modules if home.startswith(f"{m}.")]  # fmt: skip
    if not found:
        raise LookupError(f"{entry.name} ({entry.home}) has no page: docs/_ext/reference.py, PAGES")
    _, page, place = max(found, key=lambda found: found[0])
    return page, place


@functools.cache
def contents() -> dict[str, list[Entry]]:
    """The entries of each page, in order; a class with a recipe is told within its recipe."""
    found: dict[str, list[tuple[int, Entry]]] = {page.name: [] for page in PAGES}
    for entry in public.entries():
        if id(entry.thing) not in public.recipes():
            page, place = place_of(entry)
            found[page.name].append((place, entry))
    ordered = {name: sorted(pairs, key=lambda pair: pair[0]) for name, pairs in found.items()}
    return {name: [entry for _, entry in pairs] for name, pairs in ordered.items()}


# ------------------------------------------------------------------------------------- the pages


def write_pages(app: Sphinx) -> None:
    """Writes each page where it changed, and takes away those that are no more."""
    folder = Path(app.srcdir) / WHERE
    folder.mkdir(exist_ok=True)
    pages = {"index.rst": index(), **{f"{p.name}.rst": text(p) for p in PAGES}}
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for name, new in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != new:
            write_text(path, new)


def index() -> str:
    """The page that leads to the others."""
    names = "\n".join(f"   {page.name}" for page in PAGES)
    told = "\n".join(f":doc:`{p.title} <{p.name}>`\n   {p.words}\n" for p in PAGES)
    return (
        f"{_title('Reference')}\nEverything public, with its formula and its source. ``jo`` is the "
        f"name by which one imports the library: ``import jaxopt_edu as jo``.\n\n{told}\n"
        f".. toctree::\n   :hidden:\n\n{names}\n"
    )


def text(page: Page) -> str:
    """A page as reStructuredText."""
    out = [_title(page.title), page.words, ""]
    home = ""
    for entry in contents()[page.name]:
        if page.parts and entry.home != home:
            home = entry.home
            out += ["", *_part(home)]
        out += [*told(entry), ""]
    return "\n".join(out).rstrip() + "\n"


def _title(words: str, line: str = "=") -> str:
    return f"{words}\n{line * len(words)}\n"


def _part(home: str) -> list[str]:
    """The heading of a module, and what its docstring says first."""
    doc = inspect.getdoc(sys.modules[home]) or ""
    words = doc.split("\n\n")[0].splitlines()
    name = home.rpartition(".")[2].replace("_", " ").capitalize()
    return [_title(name, "-"), docstrings.prose(words, set(), public.ROOT), ""]


# ---------------------------------------------------------------------------------------- names


def note_aliases(app: Sphinx, env: Any) -> None:
    """Other names of an entry lead to it, and those of members without words to what tells them."""
    domain = env.domains["py"]
    for name, target in public.links().items():
        if name.startswith(f"{public.ROOT}.") and name not in domain.objects:
            known = domain.objects.get(target)
            if known:
                domain.objects[name] = known._replace(aliased=True)
    for entry in public.entries():
        known = domain.objects.get(entry.name)
        for alias in entry.aliases if known else ():
            domain.objects[alias] = known._replace(aliased=True)


def find_short(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """A link by a short name, as jo.adam, or by a member that a base tells."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    target = public.links().get(name, public.links().get(name.replace("jo.", f"{public.ROOT}.", 1)))
    if target is None:
        return None
    node["reftype"] = "obj"
    node["reftarget"] = target  # under which another language's pages look for it
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def shorten(app: Sphinx, doctree: Any) -> None:
    """Entries are shown as one types them: jo.adam."""
    for name in doctree.findall(addnodes.desc_addname):
        short = name.astext().replace(f"{public.ROOT}.", "jo.", 1)
        name.children = [nodes.Text(short)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("doctree-read", shorten)
    app.connect("env-updated", note_aliases)
    app.connect("missing-reference", find_short)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
