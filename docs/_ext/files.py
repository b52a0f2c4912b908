"""Sphinx: links to files of the repository that are no pages: sources, tests, programs, results.

A relative link such as `[the law](../../tests/test_value.py)` works where the repository is read,
and in the site, which brings a copy of the file, as text that a browser shows. A folder leads to
its README.md or its __init__.py.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

WHERE = "_files"
SHOWN = (".png", ".svg", ".html", ".txt")  # others get the ending .txt


def find_files(app: Sphinx, doctree: Any) -> None:
    """Links of a page to files that are no pages become links to copies of them."""
    here, env = app.env.docname, app.env
    found = doctree.findall(
        lambda node: isinstance(node, addnodes.pending_xref | addnodes.download_reference)
    )
    for node in list(found):
        path = _file(app, here, node)
        if path is None:
            continue
        if not hasattr(env, "jo_files"):
            env.jo_files = {}
        name = _copied(app, path)
        env.jo_files.setdefault(here, set()).add((str(path), name))
        uri = relative_uri(app.builder.get_target_uri(here), name)
        link = nodes.reference("", "", internal=True, refuri=uri, classes=["jo-file"])
        link += node.children
        node.replace_self(link)


def _root(app: Sphinx) -> Path:
    return Path(app.srcdir).resolve().parent


def _file(app: Sphinx, here: str, node: Any) -> Path | None:
    """The file of the repository to which a link of MyST leads; None where it is another link."""
    if node.get("reftype") not in ("myst", "doc") or node.get("refdomain") not in (None, "", "doc"):
        return None
    target = node["reftarget"].split("#")[0]
    if not target:
        return None
    base = Path(app.env.doc2path(here)).resolve().parent
    for name in (target, f"{target}.md", f"{target}/README.md", f"{target}/__init__.py"):
        path = Path(os.path.normpath(base / name))  # MyST has absolute paths of other .md files
        if path.is_file() and path.is_relative_to(_root(app)):
            return None if app.env.path2doc(path) in app.env.found_docs else path
    return None


def _copied(app: Sphinx, path: Path) -> str:
    """The place of the copy within the site."""
    name = path.relative_to(_root(app)).as_posix()
    return f"{WHERE}/{name}" + ("" if path.suffix in SHOWN else ".txt")


def copy_files(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    for path, name in set().union(*getattr(app.env, "jo_files", {}).values()):
        target = Path(app.outdir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def purge(app: Sphinx, env: Any, docname: str) -> None:
    getattr(env, "jo_files", {}).pop(docname, None)


def merge(app: Sphinx, env: Any, docnames: Any, other: Any) -> None:
    env.jo_files = getattr(env, "jo_files", {}) | {
        doc: files for doc, files in getattr(other, "jo_files", {}).items() if doc in docnames
    }


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", find_files, priority=100)  # before Sphinx copies them
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("build-finished", copy_files, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
