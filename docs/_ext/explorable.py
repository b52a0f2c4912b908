"""Sphinx: explorables in a page, links that set their sliders, and solutions that are folded.

    ```{explorable} step-paths
    :title: Paths of an optimizer

    :says settles: With a learning rate of {rate} it ends {height} above the minimum.
    :task cliff: Find the largest learning rate that still descends.
    :answer cliff: It is just below 2/L.
    :rate: learning rate
    ```

`step-paths` is drawn by docs/figures/step_paths.js from what `paths()` of docs/figures/step.py
gives.
Fields are the texts of the figure, which gettext translates: names of controls, sentences with
{numbers}, tasks that tick themselves with an answer that appears then.
"""

import importlib
import json
import re
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from jaxopt_edu.learn.notation.javascript import code, program
from jaxopt_edu.learn.notation.nodes import Equation
from jaxopt_edu.learn.pages import part, stripped

WORDS = {
    "en": "This figure needs JavaScript, though no network.",
    "zh_CN": "\u672c\u56fe\u9700\u8981 JavaScript\uff0c\u4f46\u4e0d\u9700\u8981\u7f51\u7edc\u3002",
}
HERE = Path(__file__).parent.parent
FIGURES = HERE / "figures"
sys.path.insert(0, str(HERE))


class Explorable(SphinxDirective):
    """A figure with its arrays, its texts and its tasks."""

    required_arguments = 1
    has_content = True
    option_spec = {"title": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        chapter, _, function = name.partition("-")
        source = FIGURES / f"{chapter}.py"
        script = FIGURES / f"{chapter}_{function}.js"
        for path in (source, script):
            if not path.exists():
                raise self.error(f"{name}: there is no {path.relative_to(HERE)}")
            self.env.note_dependency(str(path))
        module = importlib.import_module(f"figures.{chapter}")
        data = getattr(module, function)()
        told = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        title = self.options["title"]
        caption = nodes.paragraph(title, title, classes=["figure-title"], ids=[f"{name}-title"])
        before = f'<figure class="explorable" id="{name}" aria-labelledby="{name}-title">'
        stage = (
            f"<noscript><p>{WORDS.get(self.config.language, WORDS['en'])}</p></noscript>"
            '<div class="stage"></div><p class="says" aria-live="polite"></p>'
            f'<script type="application/json" class="data">{told}</script>'
        )
        strings, tasks = self._texts(name)
        scripts = self.env.metadata[self.env.docname].setdefault("figures", [])
        scripts.append(name)
        return [raw(before), caption, raw(stage), strings, *tasks, raw("</figure>")]

    def _texts(self, name: str) -> tuple[nodes.Node, list[nodes.Node]]:
        """The fields: texts that the script asks for, and the list of tasks."""
        held = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, held)
        texts = nodes.field_list(classes=["strings"])
        tasks: dict[str, nodes.list_item] = {}
        for field in held.findall(nodes.field):
            key, body = field[0].astext(), field[1]
            field[0]["translatable"] = False  # the script asks for it by this name
            kind, _, which = key.partition(" ")
            if kind == "task":
                tasks[which] = nodes.list_item("", *body.children, classes=["task"])
                tasks[which]["ids"].append(f"{name}-task-{which}")
            elif kind == "answer":
                for paragraph in body.children:
                    paragraph["classes"].append("answer")  # type: ignore[index]
                tasks[which].extend(body.children)
            else:
                texts += field.deepcopy()
        lists = [nodes.bullet_list("", *tasks.values(), classes=["tasks"])] if tasks else []
        return texts, list(lists)


class Solution(SphinxDirective):
    """A solution that is read when one asks for it."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        title = self.arguments[0] if self.arguments else "Solution"
        summary = nodes.inline(title, title, translatable=True)
        body = nodes.container(classes=["solution-body"])
        self.state.nested_parse(self.content, self.content_offset, body)
        return [
            raw('<details class="solution"><summary>'), nodes.paragraph(title, "", summary),
            raw("</summary>"), body, raw("</details>"),
        ]  # fmt: skip


class Try(SphinxRole):
    """{try}`0.019 <step-paths rate=0.0191 optimizer=sgd>`: a link that sets sliders of a figure."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = re.fullmatch(r"(.+?)\s*<([\w-]+)((?:\s+\w+=[^\s>]+)+)>", self.text, re.S)
        if found is None:
            raise ValueError(f"try: {self.text!r} is not: words <figure control=value ...>")
        words, figure, pairs = found.groups()
        place = ";".join([figure, *pairs.split()])
        inner = f'<a class="try" href="#{escape(place)}">{escape(words)}</a>'
        return [nodes.raw(self.rawtext, inner, format="html")], []


def raw(html: str) -> nodes.Node:
    return nodes.raw("", html, format="html")


def add_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """The runtime, the rules of the chapter and the scripts of its figures, on its page only."""
    names = app.env.metadata.get(pagename, {}).get("figures", [])
    if not names or app.builder.format != "html":
        return
    chapters = dict.fromkeys(name.partition("-")[0] for name in names)
    files = ["figures/runtime.js", "figures/figure.js"]
    files += [f"figures/{chapter}_rules.js" for chapter in chapters]
    files += [f"figures/{name.replace('-', '_')}.js" for name in names]
    for priority, file in enumerate(files):
        app.add_js_file(file, priority=600 + priority, loading_method="defer")


def write_scripts(app: Sphinx, error: Exception | None) -> None:
    """The scripts as files of the site: comments and indentation left out."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir) / "_static" / "figures"
    out.mkdir(parents=True, exist_ok=True)
    texts = {"runtime.js": part("runtime.js"), "figure.js": (FIGURES / "figure.js").read_text()}
    for name in {n for held in app.env.metadata.values() for n in held.get("figures", [])}:
        chapter = name.partition("-")[0]
        texts[f"{name.replace('-', '_')}.js"] = (
            FIGURES / f"{name.replace('-', '_')}.js"
        ).read_text()
        rules = getattr(importlib.import_module(f"figures.{chapter}"), "RULES", {})
        told = ",".join(f"{json.dumps(key)}:{in_javascript(lines)}" for key, lines in rules.items())
        texts[f"{chapter}_rules.js"] = f"X.rules={{{told}}};"
    for name, text in texts.items():
        (out / name).write_text(stripped(text), encoding="utf-8")
    (out / "parts.css").write_text(part("parts.css"), encoding="utf-8")


def in_javascript(formula: Equation | tuple[Equation, ...]) -> str:
    """An optimizer's lines as a program; one equation, such as f(x, y) = ..., as a function."""
    return f"$=>{code(formula.right)}" if isinstance(formula, Equation) else program(formula)


def setup(app: Sphinx) -> dict[str, object]:
    app.add_directive("explorable", Explorable)
    app.add_directive("solution", Solution)
    app.add_role("try", Try())
    app.add_css_file("figures/parts.css")
    app.add_css_file("figures.css")
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_scripts)
    return {
        "version": "1",
        "env_version": 4,
        "parallel_read_safe": False,
        "parallel_write_safe": True,
    }
