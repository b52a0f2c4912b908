"""The site: every public name has its entry, and pages obey the policy.

A small site is built here, with the reference and one chapter; `jaxopt-edu learn --build DIR` and
`docs/check.py DIR` check the whole one.
"""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlencode

import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import site

pytest.importorskip("sphinx", reason="the site needs the extra docs")
pytest.importorskip("furo", reason="the site needs the extra docs")
pytest.importorskip("myst_parser", reason="the site needs the extra docs")
pytest.importorskip("anywidget", reason="the site needs the extra docs")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PUBLIC = (ROOT / "tests" / "fixtures" / "public.txt").read_text().splitlines()
CHAPTER = """\
# How big a step?

See {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`,
{func}`jo.AdamW.init`, $x_1^2$, [a file](../../src/a.py) and [home](../index.md).

## The rule

The {defined}`learning rate` times the gradient.
"""
CHINESE = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

msgid "How big a step?"
msgstr "\u6b65\u957f\u591a\u5927"

msgid "See {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`, {func}`jo.AdamW.init`, $x_1^2$, [a file](../../src/a.py) and [home](../index.md)."
msgstr "\u5b66\u4e60\u7387 {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`, {func}`jo.AdamW.init`, $x_1^2$, [a](../../src/a.py), [b](../index.md)"

msgid "The rule"
msgstr "\u89c4\u5219"

msgid "The {defined}`learning rate` times the gradient."
msgstr "{defined}`\u5b66\u4e60\u7387`"
"""  # noqa: E501


@pytest.fixture(scope="module")
def extensions():
    """Sphinx's extensions of the site, by name."""
    sys.path.insert(0, str(DOCS / "_ext"))
    names = ("public", "docstrings", "entries", "reference", "policy", "translations", "chinese")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(DOCS / "_ext"))
    for name in names:
        sys.modules.pop(name)


def sphinx(docs, out, *more):
    """Builds pages with warnings as errors; what it said."""
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", *more]
    done = subprocess.run([*words, str(docs), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A site of one chapter, in two languages, and the reference; its directory."""
    there = tmp_path_factory.mktemp("site")
    docs = there / "docs"
    left_out = shutil.ignore_patterns("*.md", "*.ipynb", "*.csv", "locale", "reference", "_build")
    shutil.copytree(DOCS, docs, ignore=left_out)
    (there / "src").mkdir()
    (there / "src" / "a.py").write_text("x = 1\n")
    toc = "```{toctree}\n:caption: Learn\n\nlearn/index\nreference/index\n```\n"
    (docs / "index.md").write_text(f"# Site\n\n{toc}")
    (docs / "learn").mkdir(exist_ok=True)
    (docs / "learn/index.md").write_text("# Learn\n\n```{toctree}\nstep\n```\n")
    chapter = docs / "learn" / "step.md"
    chapter.write_text("# At first\n\n{func}`jo.losses.squared_error`\n")
    sphinx(docs, there / "out")
    assert "In: <a" in (there / "out/reference/losses.html").read_text()
    chapter.write_text(CHAPTER)
    catalog = docs / "locale" / site.CHINESE / "LC_MESSAGES" / "learn" / "step.po"
    catalog.parent.mkdir(parents=True)
    catalog.write_text(CHINESE, encoding="utf-8")
    assert site.chinese(docs) == ["learn/step"]
    sphinx(docs, there / "out")
    sphinx(docs, there / "out/zh", "-t", site.CHINESE, "-D", f"language={site.CHINESE}")
    return there


# ----------------------------------------------------------------------------------- the reference


def full(name):
    return name.replace("jo.", "jaxopt_edu.", 1)


def name_of(line):
    return full(line.split("(")[0].split(" ")[0])


def namespaces():
    """The public modules, and the packages directly below jaxopt_edu, by name."""
    names = [line.split()[0] for line in PUBLIC if line.endswith(" is a module")]
    packages = [f"jaxopt_edu.{m.name}" for m in pkgutil.iter_modules(jo.__path__) if m.ispkg]
    found = {full(name): attrgetter(name.removeprefix("jo."))(jo) for name in names}
    return {**{name: importlib.import_module(name) for name in packages}, **found}


def names_of(name, module):
    """(full name, thing) of the functions and classes that a module lists or has in its dir()."""
    lazy = set(dir(module)) - set(vars(module))
    for short in sorted({*getattr(module, "__all__", ()), *lazy}):
        thing = getattr(module, short)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield f"{name}.{short}", thing


def test_every_public_name_has_an_entry(extensions):
    """Those of tests/fixtures/public.txt: as an entry, as another name of one, or a namespace."""
    public = extensions["public"]
    text = "".join(extensions["reference"].text(page) for page in extensions["reference"].PAGES)
    told = set(re.findall(r"\.\. py:\w+:: ([\w.]+)", text))
    spaces = set(public.modules())
    lacking = [
        name for line in PUBLIC
        if (name := name_of(line)) not in told | spaces and public.links().get(name) not in told
    ]  # fmt: skip
    assert not lacking and len(told) > 500
    assert "jaxopt_edu.adam" in told and "jaxopt_edu.optimizers.adam" not in told
    things = {name: x for name, space in namespaces().items() for name, x in names_of(name, space)}
    known = {id(thing) for name, thing in public.by_name().items() if name in told}
    assert not [name for name, thing in things.items() if id(thing) not in known]
    assert {"jaxopt_edu.learn.Axis", "jaxopt_edu.diagnosis.find_shift"} <= things.keys() & told
    twice = [n for n in told if len(re.findall(rf"\.\. py:\w+:: {re.escape(n)}[(\n]", text)) > 1]
    assert not twice


@pytest.mark.slow
def test_links_find_every_name_in_the_built_pages(small):
    """What other pages link to is in the inventory under each of its names."""
    from sphinx.util.inventory import InventoryFile

    with (small / "out" / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, name: name)
    names = {name for kind, items in found.items() if kind.startswith("py:") for name in items}
    spaces = {name_of(line) for line in PUBLIC if line.endswith(" is a module")}
    tops = {name for line in PUBLIC if (name := name_of(line)).count(".") < 3} - spaces
    members = {name for name in tops if name.rpartition(".")[0] not in {*spaces, "jaxopt_edu"}}
    assert not tops - members - names and len(tops - members) > 400
    assert {"jaxopt_edu.adam", "jaxopt_edu.optimizers.adam", "jaxopt_edu.Adam.rule"} <= names


def test_no_entry_is_blank(extensions):
    """Each says something besides its signature and its bases; so does the class of a recipe."""
    blank = []
    for entry in extensions["public"].entries():
        lines = extensions["entries"].told(entry)
        heads = [i for i, line in enumerate(lines) if re.match(r" *\.\. py:", line)]
        for at, after in zip(heads, [*heads[1:], len(lines)], strict=True):
            words = [x.strip() for x in lines[at + 1 : after]]
            if not any(x and not x.startswith((":", "Bases: ")) for x in words):
                blank.append(lines[at].strip())
    assert not blank
    lines = extensions["entries"].told(entry_of(extensions, jo.adam))
    assert "   What :py:obj:`jo.adam <jaxopt_edu.adam>` returns: a frozen dataclass." in [
        line[3:] for line in lines
    ]
    made = map(extensions["public"].made_by, extensions["public"].by_name().values())
    assert all(kind.__dataclass_params__.frozen for kind in made if kind is not None)


def test_a_member_without_words_leads_to_what_tells_it(extensions):
    links = extensions["public"].links()
    assert links["jo.AdamW.init"] == "jaxopt_edu.Rule.init"
    assert links["jo.Adam.rule"] == "jaxopt_edu.Rule.rule"
    assert links["jo.Adam.debias"] == "jaxopt_edu.Adam"  # its code stands there
    assert links["jo.Training.step"] == "jaxopt_edu.Experiment.step"
    assert links["jo.Study.best"] == "jaxopt_edu.Study.best"


def test_examples_run_where_they_are_copied(extensions):
    """Each imports what it uses of other modules: in itself, or by a line that the site adds."""
    lines = extensions["docstrings"].rst(jo.clip, "jaxopt_edu.clip", "x")
    lacking = extensions["docstrings"]._imports
    assert ">>> import jax.numpy as jnp" in "\n".join(lines)
    assert lacking([">>> import jax.numpy", ">>> jax.grad(np.sin)"]) == [">>> import numpy as np"]
    learn = [e.thing for e in extensions["public"].entries() if ".learn." in e.name]
    codes = [code for x in learn if inspect.getdoc(x) and
             (code := doctest.DocTestParser().get_examples(inspect.getdoc(x)))]  # fmt: skip
    assert len(codes) > 8
    for code in codes:
        assert not lacking([f">>> {line}" if k == 0 else f"... {line}" for example in code
                            for k, line in enumerate(example.source.splitlines())])  # fmt: skip


def test_formulas_that_run_are_set_as_mathematics(extensions):
    """Every formula that tests/test_formulas.py runs is MathML, with its variants."""
    read = re.compile(r"(optim\.(optimizers|schedules|transforms|regularizers)|nn\.losses)\b")
    count = 0
    for entry in extensions["public"].entries():
        lines = extensions["entries"].told(entry)
        if read.search(entry.home) and any("rubric:: Formula" in line for line in lines):
            assert any("<math" in line for line in lines), entry.name
            count += 1
    assert count > 80
    lines = "\n".join(extensions["entries"].told(entry_of(extensions, jo.adam)))
    assert lines.count("<math") == 5 + 1 + 2 + 1
    assert "With ``bias_correction=False``, ``nesterov``:" in lines
    assert 'data-field="learning_rate"' in lines and "def rule(self, t, p, g, m, v):" in lines


def entry_of(extensions, thing):
    return extensions["public"].by_thing()[id(thing)]


def test_the_fields_of_a_recipe_are_a_table(extensions):
    lines = [line.strip() for line in extensions["entries"].fields(jo.SGD)]
    rows = [" ".join(lines[i : i + 4]) for i, line in enumerate(lines) if line.startswith("* -")]
    assert rows[1:] == [
        "* - ``learning_rate`` - - [0, \u221e) - yes",
        "* - ``momentum`` - ``None`` - [0, 1] - yes",
        "* - ``nesterov`` - ``False`` - structure -",
        "* - ``accumulator_dtype`` - ``None`` - structure -",
    ]
    table = "\n".join(extensions["entries"].fields(jo.schedules.JoinSchedules))
    assert "- no" in table  # a schedule jumps in its boundaries


def test_a_name_in_backticks_is_a_link_where_it_is_public_and_no_argument(extensions):
    inline = extensions["docstrings"].inline
    assert inline("as `adam`", set(), "jaxopt_edu.sgd") == (
        "as \\ :py:obj:`adam <jaxopt_edu.adam>`\\ "
    )
    assert "``adam``" in inline("as `adam`", {"adam"}, "jaxopt_edu.sgd")
    assert "``n_t``" in inline("`n_t`", set(), "jaxopt_edu.sgd")
    assert "<jaxopt_edu.Study.best>" in inline("`best`", set(), "jaxopt_edu.Study")
    assert inline("a_ * b|c", set(), "jaxopt_edu.sgd") == "a\\_ \\* b\\|c"


def test_sections_and_arguments_of_a_docstring(extensions):
    text = "What it does.\n\nx, y: both.\n    And more.\nShapes: any.\nof course: no section.\n"
    found = extensions["docstrings"].blocks(text + "\n>>> 1\n1\n", {"x", "y"})
    assert [(b.kind, b.head) for b in found] == [
        ("text", ""), ("field", "x, y"), ("section", "Shapes"), ("text", ""), ("example", ""),
    ]  # fmt: skip
    assert found[1].lines == ["both.\nAnd more."]


def test_several_fields_in_one_line_are_several(extensions):
    text = "x: the first. It is: one. y: the second,\nwith a line that goes on. And z: no field.\n"
    found = extensions["docstrings"].blocks(text, {"x", "y", "z"})
    assert [(b.head, " ".join(b.lines[0].split())) for b in found] == [
        ("x", "the first. It is: one."),
        ("y", "the second, with a line that goes on. And z: no field."),
    ]


@pytest.mark.slow
def test_a_chapter_is_named_where_the_reference_tells_what_it_uses(small):
    pages = {p.stem: p.read_text() for p in (small / "out/reference").glob("*.html")}
    told = '<p class="jo-told-in">In: <a class="reference internal" href="../learn/step.html">'
    assert pages["optimizers"].count(told) == 2  # adam, sgd
    assert pages["transforms"].count(told) == 1  # AdamW.init, which Rule tells
    assert pages["training"].count(told) == 1
    assert pages["losses"].count(told) == 0  # that of the chapter as it was at first


# --------------------------------------------------------------------------------- pages and policy


def test_the_first_block_of_the_site_runs(capsys):
    [block] = re.findall(r"```python\n(.*?)```", (DOCS / "index.md").read_text(), re.S)
    exec(block, {})
    assert re.fullmatch(r"Adam\(learning_rate=0\.0\d+, .*\)\n", capsys.readouterr().out)


@pytest.mark.slow
def test_files_of_the_repository_come_along(small):
    assert (small / "out/_files/src/a.py.txt").read_text() == "x = 1\n"
    assert 'href="../_files/src/a.py.txt"' in (small / "out/learn/step.html").read_text()


@pytest.mark.slow
def test_the_chinese_page_and_its_links(small, extensions):
    page = (small / "out/zh/learn/step.html").read_text()
    assert "../../reference/optimizers.html#jaxopt_edu.adam" in page
    assert "../../reference/transforms.html#jaxopt_edu.Rule.init" in page
    assert '<a href="../../learn/step.html" lang="en"' in page
    assert 'href="../zh/learn/step.html" lang="zh"' in (small / "out/learn/step.html").read_text()
    assert 'href="zh/index.html" lang="zh"' in (small / "out/index.html").read_text()
    assert "jo-language" not in (small / "out/reference/losses.html").read_text()
    assert "\\u5b66\\u4e60" in (small / "out/zh/searchindex.js").read_text()


@pytest.mark.slow
def test_chinese_pages_lead_home_and_to_each_other(small):
    """Where a reader looks for a list there is one; each page leads to it and to the English."""
    for name in ("index", "learn/index", "learn/step", "search"):
        page, up = (small / f"out/zh/{name}.html").read_text(), "../" * name.count("/")
        tree = re.search(r'<div class="sidebar-tree">(.*?)</div>', page, re.S)[1]
        links = re.findall(r'href="(.*?)"', tree)
        here = small / f"out/zh/{name}.html"
        english = links.pop()
        assert english == f"{up}../index.html" and len(links) == 1
        assert links == ["#"] or (here.parent / links[0]).resolve() == (
            small / "out/zh/learn/step.html"
        )
        home = re.search(r'class="sidebar-brand" href="(.*?)"', page)[1]
        assert home == "#" or (here.parent / home).resolve() == small / "out/zh/index.html"
    listed = (small / "out/zh/index.html").read_text()
    assert '<li><a href="learn/step.html">\u6b65\u957f\u591a\u5927</a></li>' in listed


def test_the_chapters_are_listed_with_their_questions_and_translations(extensions):
    text = (DOCS / "learn/index.md").read_text()
    rows = dict(re.findall(r"^\| \[.+?\]\((\w+)\.md\).*? \| (.+?) \|$", text, re.M))
    toctree = re.search(r"```\{toctree\}\n(?::.*\n)*\n(.*?)```", text, re.S)[1].split()
    assert list(rows) == toctree
    for name, question in rows.items():
        chapter = (DOCS / f"learn/{name}.md").read_text()
        title = re.search(r"^# (.+)$", chapter, re.M)[1]
        assert f"[{title}]({name}.md)" in text and f"**{question}**" in chapter
    there = extensions["translations"].complete(DOCS, site.CHINESE)
    translated = re.findall(r'"\.\./zh/(\w+/\w+)\.html"', text)
    assert translated == [f"learn/{x}" for x in toctree if f"learn/{x}" in there]


def test_the_guide_of_the_command_line_has_every_command():
    from jaxopt_edu.cli.program import parser

    [commands] = [x.choices for x in parser()._actions if x.dest == "command"]
    rows = re.findall(r"^\| `(\w+)", (DOCS / "guides/command_line.md").read_text(), re.M)
    assert sorted(rows) == sorted(commands)


@pytest.mark.slow
def test_a_catalog_with_a_gap_is_no_translation(extensions, tmp_path):
    whole = extensions["translations"].whole
    path = tmp_path / "a.po"
    path.write_text(CHINESE, encoding="utf-8")
    assert whole(path)
    path.write_text(CHINESE + '\nmsgid "more"\nmsgstr ""\n', encoding="utf-8")
    assert not whole(path)
    path.write_text(CHINESE + '\n#, fuzzy\nmsgid "more"\nmsgstr "mehr"\n', encoding="utf-8")
    assert not whole(path)


def test_a_query_is_cut_as_the_text_is(extensions):
    pairs = extensions["chinese"].Pairs({})
    text = "\u5b66\u4e60\u7387 is Adam_1"
    assert pairs.split(text) == ["\u5b66\u4e60", "\u4e60\u7387", "is", "Adam_1"]


@pytest.mark.slow
def test_no_page_breaks_the_policy(small, extensions):
    policy = extensions["policy"]
    pages = policy.own_pages(small / "out", other=True)
    assert len(pages) > 25
    wrong = [(p.name, told) for p, text in pages.items() for told in policy.violations(text)]
    assert not wrong and not list(policy.broken(small / "out", pages))
    scripts = [p.read_text() for p in (small / "out").rglob("*.js")]
    assert not any(re.search(r"\beval\(|new Function\(\s*[\"']n", text) for text in scripts)
    styles = [p.read_text() for p in (small / "out/_static").rglob("*.css")]
    assert not any("data:" in text or "http" in text.split("*/", 1)[-1] for text in styles)


HEAD = "<meta content=\"default-src 'self'\">"


@pytest.mark.parametrize(("page", "told"), [
    ("<p>no meta</p>", "no Content-Security-Policy"),
    (f'{HEAD}<p style="color: red">', "an inline style"),
    (f"{HEAD}<style>p {{}}</style>", "a <style>"),
    (f"{HEAD}<script>run()</script>", "an inline script"),
    (f'{HEAD}<button type="button" onclick="run()">', "an inline handler"),
    (f'{HEAD}<img alt="" src="https://example.org/a.png">', "something from elsewhere"),
    (f'{HEAD}<script src="//example.org/a.js"></script>', "something from elsewhere"),
])  # fmt: skip
def test_the_policy_names_what_it_forbids(page, told, extensions):
    [found] = extensions["policy"].violations(page)
    assert found.startswith(told)


def test_the_policy_allows_data_and_links(extensions):
    fine = f'{HEAD}<script type="application/json">{{}}</script><a href="https://example.org">x</a>'
    assert not list(extensions["policy"].violations(fine))


def test_links_that_lead_nowhere_are_found(tmp_path, extensions):
    page = tmp_path / "a.html"
    (tmp_path / "b.html").write_text('<p id="there">')
    links = ("b.html#there", "b.html#there;rate=1", "b.html#gone", "c.html", "#gone", "https://x.y")
    page.write_text("".join(f'<a href="{link}">x</a>' for link in links))
    pages = extensions["policy"].own_pages(tmp_path)
    assert sorted(extensions["policy"].broken(tmp_path, pages)) == [
        "a.html: #gone leads to no anchor",
        "a.html: b.html#gone leads to no anchor",
        "a.html: c.html leads to no file",
    ]


HITS = """() => [...document.querySelectorAll("ul.search li a")].map(a => a.getAttribute("href"))"""


@pytest.mark.slow
def test_search_finds_names_terms_and_other_spellings_first(small):
    playwright = pytest.importorskip("playwright.sync_api", reason="the check needs a browser")
    spec = importlib.util.spec_from_file_location("check", DOCS / "check.py")
    sys.path.insert(0, str(DOCS / "_ext"))
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    sys.path.remove(str(DOCS / "_ext"))
    adam, told = "reference/optimizers.html#jaxopt_edu.adam", []
    first = {
        "jo.adam": adam, "adam": adam, "jaxopt_edu.adam": adam, "jo.adam(1e-3)": adam,
        "jo.optimizers.adam": adam, "jo.Adam.rule": adam, "How big a step?": "learn/step.html",
        "jo.plot.plot_l1_path": "reference/plots.html#jaxopt_edu.plot.plot_l1_path",
        "learning rate": "learn/step.html#the-rule", "lr": "learn/step.html#the-rule",
    }  # fmt: skip
    with check.served(small / "out") as address, playwright.sync_playwright() as play:
        path = shutil.which("chromium") or play.chromium.executable_path
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        check.listen(page, address, told)

        def hits(words, where=""):
            page.goto(f"{address}/{where}search.html?{urlencode({'q': words})}")
            page.wait_for_function("() => Search.status?.innerText")  # it says so at its end
            return page.evaluate(HITS)

        assert {words: hits(words)[0] for words in first} == first
        assert "reference/optimizers.html#jaxopt_edu.sgd" in hits("momentum")[:3]
        assert hits("regularisation") == hits("regularization") != []
        hits("momentum")
        page.wait_for_selector("li:has(a[href$='jaxopt_edu.sgd']) p.context")
        assert hits("\u5b66\u4e60", "zh/")[0] == "learn/step.html#the-rule"
        page.click("a.jo-english-search")
        assert page.url == f"{address}/search.html?q=%E5%AD%A6%E4%B9%A0"
        browser.close()
    assert not told


@pytest.mark.slow
def test_a_browser_finds_nothing_wrong(small):
    pytest.importorskip("axe_playwright_python", reason="the check needs axe-core")
    pages = ["index.html", "zh/learn/step.html", "search.html", "zh/index.html"]
    words = [sys.executable, str(DOCS / "check.py"), str(small / "out"), *pages]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and "4 pages, 0 violations" in done.stdout, done.stdout

    learn = small / "out/learn/step.html"
    before = learn.read_text()
    learn.write_text(
        before.replace("</article>", '<img src="https://example.org/a.png"></article>')
    )
    done = subprocess.run([*words[:3], "learn/step.html"], capture_output=True, text=True)
    learn.write_text(before)
    assert done.returncode == 1
    assert "image-alt" in done.stdout and "something from elsewhere" in done.stdout
