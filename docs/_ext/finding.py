"""Sphinx: words under which the search finds a place beside those of its text.

A term leads to the section that explains it, where it stands as {defined}`learning rate`; the field
of a few recipes, such as `momentum`, to their entries. docs/_static/search.js ranks them.
"""

import dataclasses
import functools
import re
from typing import Any

import public
from docutils import nodes
from reference import WHERE
from sphinx import addnodes
from sphinx.application import Sphinx

FEW = 8  # a field that more entries have tells none of them apart
SPELLED = {"overfitting": re.compile(r"(?i)\bover-?fit")}


def note_words(app: Sphinx, doctree: Any) -> None:
    """Gives the search the words of a page, in place of those that Sphinx has of functions."""
    in_reference = app.env.docname.startswith(f"{WHERE}/")
    for node in list(doctree.findall(addnodes.index)):
        node.parent.remove(node)
    words = fields(doctree) if in_reference else [*terms(doctree), *others(doctree)]
    entries = [("single", word, place, "main", None) for word, place in dict.fromkeys(words)]
    first = next(doctree.findall(nodes.section), None)
    if entries and first is not None:
        first += addnodes.index(entries=entries)


def terms(doctree: Any) -> list[tuple[str, str]]:
    """(term, section) of the terms that a page explains."""
    found = (node for node in doctree.findall(nodes.emphasis) if "defined" in node["classes"])
    pairs = ((node.astext().replace(";", ","), _section(node)) for node in found)
    return [(word, place) for word, place in pairs if place]


def others(doctree: Any) -> list[tuple[str, str]]:
    """(word, section) of words that pages spell in several ways."""
    texts = [(node.astext(), _section(node)) for node in doctree.findall(_is_block)]
    return [
        (word, place)
        for word, pattern in SPELLED.items()
        for text, place in texts
        if place and pattern.search(text)
    ]


def _is_block(node: nodes.Node) -> bool:
    return isinstance(node, nodes.paragraph | nodes.title)


def _section(node: Any) -> str:
    """The id of the section in which a node is; none where it is in none."""
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    return str(node["ids"][0]) if node is not None else ""


def fields(doctree: Any) -> list[tuple[str, str]]:
    """(field, entry) of the fields that few entries have, with and without underscores."""
    ids = (i for node in doctree.findall(addnodes.desc_signature) for i in node["ids"])
    pairs = ((field, name) for name in ids for field in rare_fields().get(name, ()))
    return [(word, name) for field, name in pairs for word in (field, field.replace("_", " "))]


@functools.cache
def rare_fields() -> dict[str, list[str]]:
    """The fields by which an entry of a recipe is found, by its name."""
    made = {entry.name: kind for entry in public.entries() if (kind := public.made_by(entry.thing))}
    fields = {name: [f.name for f in dataclasses.fields(kind)] for name, kind in made.items()}
    all_of_them = [field for found in fields.values() for field in found]
    return {
        name: [field for field in found if all_of_them.count(field) <= FEW]
        for name, found in fields.items()
    }


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", note_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
