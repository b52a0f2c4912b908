"""Sphinx: each chapter as a notebook beside its page, made from the same text.

Figures are on the page only; the notebook has the prose, the code with what it printed, and the
solutions in cells that are folded.
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from jaxopt_edu.storage.files import write_text

WORDS = {"en": "Download this chapter as a notebook", "zh_CN": "下载本章的 Jupyter 笔记本（英文）"}
FIGURE = {"en": "Figure on the page of this chapter: {}", "zh_CN": "本章网页上的图：{}"}
SOLUTION = {"en": "Solution", "zh_CN": "答案"}
FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?P<kind>\{?[\w-]+\}?)[ ]*(?P<title>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=fence)[ ]*$",
    re.S | re.M,
)
ROLES = (
    (re.compile(r"\{(?:claim|try)\}`([^`<]+?)\s*<[^>]+>`"), r"\1"),
    (re.compile(r"\{defined\}`([^`]+)`"), r"*\1*"),
    (re.compile(r"\{\w+\}`(?:~)?([^`<]+?)(?:\s*<[^>]+>)?`"), r"`\1`"),
    (re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]+\)"), r"\1"),
)


def notebook(text: str, language: str = "en") -> dict[str, Any]:
    """A chapter in MyST as a notebook (nbformat 4.5)."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    cells: list[dict[str, Any]] = []
    _take(text, cells, language, folded=False)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells}


def _take(text: str, cells: list[dict[str, Any]], language: str, folded: bool) -> None:
    """Puts the cells of a text, block by block, behind the others."""
    at = 0
    for block in FENCE.finditer(text):
        _prose(text[at : block.start()], cells)
        at = block.end()
        kind, title, body = block["kind"], block["title"].strip(), block["body"]
        if kind == "python":
            hidden = {"jupyter": {"source_hidden": True}} if folded else {}
            cells.append({"cell_type": "code", "metadata": hidden, "execution_count": None,
                          "outputs": [], "source": body.rstrip("\n")})  # fmt: skip
        elif kind == "text" and cells and cells[-1]["cell_type"] == "code":
            cells[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": body}]
        elif kind == "{explorable}":
            told = re.search(r"^:title: (.*)$", body, re.M)
            _prose(f"*({FIGURE[language].format(told[1] if told else title)})*", cells)
        elif kind == "{solution}":
            _prose(f"**{title or SOLUTION[language]}**", cells)
            _take(body, cells, language, folded=True)
        elif kind == "{admonition}":
            body = re.sub(r"\A(:[\w-]+:[^\n]*\n)+", "", body)
            _prose(f"**{title}**", cells)
            _take(body, cells, language, folded)
        else:
            _prose(f"```{kind.strip('{}')}\n{body}```", cells)
    _prose(text[at:], cells)


def _prose(text: str, cells: list[dict[str, Any]]) -> None:
    for pattern, plain in ROLES:
        text = pattern.sub(plain, text)
    if text.strip():
        cells.append({"cell_type": "markdown", "metadata": {}, "source": text.strip()})


def add_link(app: Sphinx, doctree: nodes.document) -> None:
    """The link to the notebook, under the title of a chapter."""
    name = app.env.docname
    if not is_chapter(name):
        return
    title = next(iter(doctree.findall(nodes.title)))
    words = WORDS.get(app.config.language, WORDS["en"])
    link = f'<p class="notebook"><a download href="{name.rpartition("/")[2]}.ipynb">{words}</a></p>'
    parent = title.parent
    parent.insert(parent.index(title) + 1, nodes.raw("", link, format="html"))


def write_notebooks(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for name in filter(is_chapter, app.env.found_docs):
        text = Path(app.env.doc2path(name)).read_text(encoding="utf-8")
        told = json.dumps(notebook(text, app.config.language), ensure_ascii=False, indent=1)
        write_text(Path(app.outdir) / f"{name}.ipynb", told)


def is_chapter(name: str) -> bool:
    return name.startswith("learn/") and name != "learn/index"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", add_link)
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
