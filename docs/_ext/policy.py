"""Sphinx: pages that a Content-Security-Policy of default-src 'self' allows.

Nothing is inline and nothing comes from elsewhere: the colors of the theme and its icons are files,
and a page with an inline script or style is a warning. Internal links and anchors are checked.
"""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import furo
import translations
from sphinx.application import Sphinx
from sphinx.util import logging

from jaxopt_edu.storage.files import write_text

logger = logging.getLogger(__name__)
POLICY = "default-src 'self'"
DATA = re.compile(r"""url\((?P<q>["'])data:image/svg\+xml;charset=utf-8,(?P<svg>.*?)(?P=q)\)""")
PLURAL = re.compile(r"Documentation\.PLURAL_EXPR = new Function\(.*?\);", re.S)
EMPTY_HEAD = re.compile(r"<th\b[^>]*>(?:<p></p>)?</th>")
LETTER_HEAD = re.compile(
    r"(?P<head><th\b[^>]*><p>)<math\b[^>]*><mrow><mi>(?P<letter>[^<&]|&#?\w+;)</mi></mrow></math></p></th>"
)
UNUSED = ("file.png", "minus.png", "plus.png", "styles/skeleton.css", "skeleton.css")
INLINE = {
    "an inline style": re.compile(r"<[a-z][^<>]*\sstyle\s*="),
    "a <style>": re.compile(r"<style\b"),
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>"),
    "an inline handler": re.compile(r"<[a-z][^<>]*\son[a-z]+\s*="),
    "something from elsewhere": re.compile(
        r"<(?:script|img|iframe|source|video|audio|link(?=[^>]*stylesheet))\b[^<>]*"
        r"\b(?:src|href)=[\"'](?:https?:|data:|//)"
    ),
}
HREF = re.compile(r"""<(?:a|link|img|script|source)\b[^<>]*?\b(?:href|src)="([^"]*)\"""")
ID = re.compile(r"""\bid="([^"]+)\"""")


def colors() -> str:
    """Furo's colors of code as a file of CSS, in place of the <style> that it puts into pages."""

    def variables(style: Any, text: str, ground: str) -> str:
        found = furo.get_pygments_style_colors(
            style, fallbacks={"foreground": text, "background": ground}
        )
        return "".join(f"--color-code-{k}: {v};" for k, v in found.items())

    styles: Any = furo._KNOWN_STYLES_IN_USE
    light = variables(styles["light"], "black", "white")
    dark = variables(styles["dark"], "white", "black")
    return (
        f"body{{{light}}}\n@media not print{{body[data-theme=dark]{{{dark}}}"
        f"@media (prefers-color-scheme: dark){{body:not([data-theme=light]){{{dark}}}}}}}\n"
    )


def finish(app: Sphinx, error: Exception | None) -> None:
    """Puts what the theme has inline into files, takes away what no page uses, checks the pages."""
    if error is not None or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    _write(static / "colors.css", colors())
    for css in static.rglob("*.css"):
        text = css.read_text(encoding="utf-8")
        _write(css, re.sub(r"/\*# sourceMappingURL=.*?\*/", "", _apart(text, css, static)))
    for script in static.rglob("*.js"):
        plain = _without_eval(script.read_text(encoding="utf-8"))
        _write(script, re.sub(r"(?m)^//# sourceMappingURL=.*\n?", "", plain))
    for path in (*static.rglob("*.map"), *(static / name for name in UNUSED)):
        path.unlink(missing_ok=True)
    _clear(app)
    pages = own_pages(Path(app.outdir))
    for path, text in pages.items():
        for told in violations(text):
            logger.warning("%s: %s", path.relative_to(app.outdir), told)
    for told in broken(Path(app.outdir), pages, other=False):
        logger.warning("%s", told)


def _clear(app: Sphinx) -> None:
    """Takes away pages of an earlier build that are no more."""
    kept = {*app.env.found_docs, "search"}
    kept |= set(translations.HOMES) if app.config.language != "en" else set()
    for path in Path(app.outdir).rglob("*.html"):
        name = path.relative_to(app.outdir).with_suffix("").as_posix()
        if name not in kept and name.split("/")[0] not in ("_files", "_static", "zh"):
            path.unlink()


def own_pages(root: Path, other: bool = False) -> dict[Path, str]:
    """The pages of a built site; other: those in another language, below it, too."""
    below = [root / "_files"] if other else [root / "_files", root / "zh"]
    found = sorted(root.rglob("*.html"))
    paths = (path for path in found if not any(path.is_relative_to(folder) for folder in below))
    return {path: path.read_text(encoding="utf-8") for path in paths}


def _apart(text: str, css: Path, static: Path) -> str:
    """A style sheet whose pictures are files beside it."""

    def file(found: re.Match[str]) -> str:
        svg = unquote(found["svg"]).replace("\\'", "'").replace('\\"', '"')
        name = f"icon-{len(icons)}-{css.stem}.svg"
        icons.append(name)
        _write(css.parent / name, svg)
        return f"url({name})"

    icons: list[str] = []
    return DATA.sub(file, text)


def _without_eval(text: str) -> str:
    """A script of Sphinx without the function that it makes of a text for translations.

    It says which plural to take; in Chinese there is one.
    """
    return PLURAL.sub("Documentation.PLURAL_EXPR = () => 0;", text)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def violations(text: str) -> Iterator[str]:
    """What the policy forbids in a page."""
    if f'content="{POLICY}"' not in text:
        yield "no Content-Security-Policy"
    for told, pattern in INLINE.items():
        if found := pattern.search(text):
            yield f"{told}, which the Content-Security-Policy forbids: {found[0][:120]!r}"


def broken(root: Path, pages: dict[Path, str], other: bool = True) -> Iterator[str]:
    """Links to pages, files and anchors of the site that are not there.

    other: also those to pages in another language, which are built later.
    """
    anchors = {path: {unescape(i) for i in ID.findall(text)} for path, text in pages.items()}
    for path, text in pages.items():
        for link in sorted({unescape(h) for h in HREF.findall(text)}):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not other and target.is_relative_to(root / "zh"):
                continue
            wanted = unquote(parts.fragment).split(";")[0]  # behind it the state of a figure
            if not target.exists():
                yield f"{path.relative_to(root)}: {link} leads to no file"
            elif wanted and target in anchors and wanted not in anchors[target]:
                yield f"{path.relative_to(root)}: {link} leads to no anchor"


def accessible(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """What Sphinx writes that a screen reader stumbles over.

    Captions of lists of pages are no headings, though Sphinx gives them that role; an empty head of
    a column is none; one that is a letter is text, as axe-core sees none in MathML.
    """
    for name in {"furo_navigation_tree", "body"} & context.keys():
        text = context[name].replace('<p class="caption" role="heading">', '<p class="caption">')
        text = EMPTY_HEAD.sub("<td></td>", text)
        context[name] = LETTER_HEAD.sub(r"\g<head><i>\g<letter></i></p></th>", text)


def only_where_used(app: Sphinx, page: str, template: str, context: Any, doctree: Any) -> None:
    """Sphinx's scripts for the search are on its page only."""
    if page != "search":
        search = ("doctools.js", "sphinx_highlight.js", "translations.js")
        found = context["script_files"]
        context["script_files"] = [x for x in found if not str(x.filename).endswith(search)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", accessible, priority=900)
    app.connect("html-page-context", only_where_used, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
