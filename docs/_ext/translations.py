"""Sphinx: pages that are translated whole, built in their language below the English ones.

A page is translated whole when its catalog (docs/locale/LANGUAGE/LC_MESSAGES/PAGE.po) has a text
for every message and none is fuzzy; the build warns where a catalog is older than its page. Links
to pages that are not translated lead to the English ones.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util import logging

logger = logging.getLogger(__name__)
NAMES = {"en": "English", "zh": "\u4e2d\u6587"}
CHINESE = "zh_CN"
HOMES = ("index", "learn/index")  # where a reader looks for a list of the pages


def complete(docs: Path, language: str) -> list[str]:
    """The pages whose catalogs are whole, by name."""
    folder = Path(docs) / "locale" / language / "LC_MESSAGES"
    found = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.po"))
    return sorted(name for name in found if name != "sphinx" and whole(folder / f"{name}.po"))


def whole(path: Path) -> bool:
    """Whether a catalog has a text for every message, and none that is to be read again."""
    with path.open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    return bool(messages) and all(message.string and not message.fuzzy for message in messages)


def check_progress(app: Sphinx, env: Any) -> None:
    """Warns where a page that counts as translated has text that its catalog lacks."""
    if env.config.language == "en":
        return
    for page in sorted(env.found_docs):
        told = env.metadata[page].get("translation_progress", {})
        if told and told["translated"] < told["total"]:
            words = "%s of %s texts have no translation: docs/locale is older than the page"
            missing = told["total"] - told["translated"]
            logger.warning(words, missing, told["total"], location=page)


def english_names(app: Sphinx, config: Any) -> None:
    """In another language, names that its pages do not tell are looked up in the English ones."""
    if config.language != "en":
        inventory = Path(app.outdir).parent / "objects.inv"
        if not inventory.exists():
            raise ConfigError(f"{inventory} is missing: build the English pages first")
        config.intersphinx_mapping = {"en": ("..", str(inventory))}


def english_pages(app: Sphinx, doctree: Any) -> None:
    """Links to pages that are not translated lead to the English ones."""
    if app.config.language == "en":
        return
    here = app.env.docname
    for node in list(doctree.findall(addnodes.pending_xref)):
        page = node["reftarget"]
        if node.get("refdomain") != "doc" or page in app.env.found_docs or page.startswith("/"):
            continue
        anchor = f"#{node['reftargetid']}" if node.get("reftargetid") else ""
        uri = f"{'../' * (here.count('/') + 1)}{page}.html{anchor}"
        link = nodes.reference("", "", internal=True, refuri=uri, hreflang="en")
        link += node.children or [nodes.Text(page)]
        node.replace_self(link)


def other_language(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """Gives the template the link to this page in the other language."""
    there = complete(Path(app.srcdir), CHINESE)
    if not there or page not in (*there, *HOMES):
        return
    up = "../" * page.count("/")
    if app.config.language == "en":
        found = {"href": f"{up}zh/{page}.html", "lang": "zh", "name": NAMES["zh"]}
    else:
        found = {"href": f"{up}../{page}.html", "lang": "en", "name": NAMES["en"]}
    context["other_language"] = found


def changed_pages(app: Sphinx, env: Any) -> list[str]:
    """Pages to be written again, as they are translated now or are no more, and the homes."""
    now = complete(Path(app.srcdir), CHINESE)
    before, env.jo_translated = getattr(env, "jo_translated", []), now
    changed = {*now} ^ {*before}
    return sorted({*changed, *HOMES} & env.found_docs) if changed else []


def homes(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """In another language, pages that list what is translated, as there is no whole index."""
    if app.config.language != "en":
        for page in HOMES:
            if page not in app.env.found_docs:
                yield page, {"title": NAMES["zh"], "furo_hide_toc": True}, "chinese.html"


def sidebar(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """In another language, the sidebar has the pages that are translated, and leads home."""
    if app.config.language == "en":
        return
    names = sorted(app.env.found_docs)
    titles = {name: app.env.titles[name].astext() for name in names}
    context["translated"] = [{"name": name, "title": titles[name]} for name in names]
    context["master_doc"] = HOMES[0]
    items = [(context["pathto"](name), "zh", titles[name], name == page) for name in names]
    items.append((f"{'../' * (page.count('/') + 1)}index.html", "en", NAMES["en"], False))
    context["furo_navigation_tree"] = "<ul>{}</ul>".format("".join(
        f'<li class="toctree-l1{" current current-page" if here else ""}">'
        f'<a class="reference internal" href="{href}" lang="{lang}">{escape(title)}</a></li>'
        for href, lang, title, here in items
    ))  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", english_names)
    app.connect("doctree-read", english_pages, priority=100)
    app.connect("env-updated", check_progress)
    app.connect("env-updated", changed_pages)
    app.connect("html-page-context", other_language)
    app.connect("html-page-context", sidebar, priority=800)  # behind Furo's
    app.connect("html-collect-pages", homes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
