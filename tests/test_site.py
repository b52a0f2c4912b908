"""The site: every public name has its entry, and pages obey the policy.

A small site is built here, with the reference and one chapter; `jaxopt-edu learn --build DIR` and
`docs/check.py DIR` check the whole one.
"""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import site

pytest.importorskip("sphinx", reason="the site needs the extra docs")
pytest.importorskip("furo", reason="the site needs the extra docs")
pytest.importorskip("myst_parser", reason="the site needs the extra docs")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PUBLIC = (ROOT / "tests" / "fixtures" / "public.txt").read_text().splitlines()
CHAPTER = """\
# How big a step?

See {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`,
{func}`jo.AdamW.init`, $x_1^2$, [a file](../../src/a.py) and [home](../index.md).
"""
CHINESE = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

msgid "How big a step?"
msgstr "\u6b65\u957f\u591a\u5927"

msgid "See {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`, {func}`jo.AdamW.init`, $x_1^2$, [a file](../../src/a.py) and [home](../index.md)."
msgstr "\u5b66\u4e60\u7387 {func}`jo.adam`, {func}`jaxopt_edu.optimizers.sgd`, {class}`jaxopt_edu.Run`, {func}`jo.AdamW.init`, $x_1^2$, [a](../../src/a.py), [b](../index.md)"
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
    toc = "```{toctree}\n:caption: Learn\n\nlearn/step\nreference/index\n```\n"
    (docs / "index.md").write_text(f"# Site\n\n{toc}")
    (docs / "learn").mkdir(exist_ok=True)
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
    assert pages["optimizers"].count(told) == 3  # adam, sgd, AdamW.init, which Adam tells
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
    assert "../../reference/optimizers.html#jaxopt_edu.Adam.init" in page
    assert '<a href="../../learn/step.html" lang="en"' in page
    assert 'href="../zh/learn/step.html" lang="zh"' in (small / "out/learn/step.html").read_text()
    assert "jo-language" not in (small / "out/index.html").read_text()
    assert "\\u5b66\\u4e60" in (small / "out/zh/searchindex.js").read_text()


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


@pytest.mark.slow
def test_a_browser_finds_nothing_wrong(small):
    pytest.importorskip("axe_playwright_python", reason="the check needs axe-core")
    pages = ["index.html", "zh/learn/step.html", "search.html", "reference/optimizers.html"]
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
