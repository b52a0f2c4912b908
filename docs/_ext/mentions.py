"""Sphinx: an entry of the reference leads to the pages that refer to it: *In: How big a step?*"""

from typing import Any

import public
from docutils import nodes
from reference import WHERE
from sphinx import addnodes
from sphinx.application import Sphinx


def note_mentions(app: Sphinx, doctree: Any) -> None:
    """Remembers which entries a page outside of the reference refers to."""
    here = app.env.docname
    if here.startswith(f"{WHERE}/"):
        return
    links = (x for x in doctree.findall(addnodes.pending_xref) if x.get("refdomain") == "py")
    targets = (link["reftarget"] for link in links)
    _mentions(app.env)[here] = sorted({public.links().get(name, name) for name in targets})


def _mentions(env: Any) -> dict[str, list[str]]:
    """The entries that pages refer to, by page."""
    if not hasattr(env, "jo_mentions"):
        env.jo_mentions = {}
    return env.jo_mentions


def purge(app: Sphinx, env: Any, docname: str) -> None:
    _mentions(env).pop(docname, None)


def merge(app: Sphinx, env: Any, docnames: Any, other: Any) -> None:
    _mentions(env).update({k: v for k, v in _mentions(other).items() if k in docnames})


def pages_by_entry(env: Any) -> dict[str, list[str]]:
    """The pages that refer to an entry, in the order of reading; a class counts as its recipe."""
    out: dict[str, list[str]] = {}
    order = _reading_order(env)
    for page in sorted(_mentions(env), key=lambda page: (order.get(page, len(order)), page)):
        named = {_recipe(name) for name in _mentions(env)[page]}
        for name in named if page != env.config.root_doc else ():
            out.setdefault(name, []).append(page)
    return out


def _recipe(name: str) -> str:
    """The recipe that tells a class; else the name itself."""
    kind = id(public.by_name().get(name))
    return public.recipes()[kind].name if kind in public.recipes() else name


def _reading_order(env: Any) -> dict[str, int]:
    out: dict[str, int] = {}
    queue = [env.config.root_doc]
    while queue:
        page = queue.pop(0)
        if page not in out:
            out[page] = len(out)
            queue = [*env.toctree_includes.get(page, []), *queue]
    return out


def changed_pages(app: Sphinx, env: Any) -> list[str]:
    """Pages of the reference to be written again, as other pages refer to their entries."""
    now = {name: [(p, env.titles[p].astext()) for p in pages]
           for name, pages in pages_by_entry(env).items()}  # fmt: skip
    before, env.jo_told = getattr(env, "jo_told", {}), now
    changed = (name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    objects = env.domains["py"].objects
    pages = {objects[name].docname for name in changed if name in objects}
    return sorted(pages & env.found_docs)


def add_mentions(app: Sphinx, doctree: Any, docname: str) -> None:
    """Puts *In: How big a step?* below the entries that other pages refer to."""
    if not docname.startswith(f"{WHERE}/"):
        return
    told = pages_by_entry(app.env)
    for entry in doctree.findall(addnodes.desc):
        names = [i for x in entry if isinstance(x, addnodes.desc_signature) for i in x["ids"]]
        content = next((x for x in entry if isinstance(x, addnodes.desc_content)), None)
        pages = told.get(names[0], []) if names else []
        if pages and content is not None:
            content += _see(app, docname, pages)


def _see(app: Sphinx, docname: str, pages: list[str]) -> nodes.paragraph:
    out = nodes.paragraph(classes=["jo-told-in"])
    for i, page in enumerate(pages):
        out += nodes.Text(", " if i else "In: ")
        uri = app.builder.get_relative_uri(docname, page)
        title = app.env.titles[page].astext()
        out += nodes.reference("", title, internal=True, refuri=uri)
    return out


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", note_mentions)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", changed_pages)
    app.connect("doctree-resolved", add_mentions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
