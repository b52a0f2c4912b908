"""Chapters in Chinese: every text is translated, and what is no text is as it is in English."""

import gettext
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

sphinx = pytest.importorskip("sphinx", reason="the site needs the extra docs")
pytest.importorskip("myst_parser", reason="the site needs the extra docs")
from babel.messages.pofile import read_po  # noqa: E402

DOCS = Path(__file__).parent.parent / "docs"
CATALOGS = DOCS / "locale" / "zh_CN" / "LC_MESSAGES"
PAGES = sorted(
    path.relative_to(CATALOGS).with_suffix("").as_posix() for path in CATALOGS.rglob("*.po")
)
PAGES = [page for page in PAGES if page != "sphinx"]
HAN = re.compile("[\u4e00-\u9fff]")
ROLE = r"\{\w+\}`[^`]*`"
KEPT = {  # what a translation has as often as its English text
    "role with a target": r"\{(?:claim|func|class|meth|mod|ref|doc)\}`[^`]*`",
    "link that sets a figure": r"\{try\}`[^`<]*(<[^>]*>)`",
    "place where a term is explained": r"\{defined\}(?=`)",
    "link": r"\]\(([^)]*)\)",
    "bold": r"\*\*",
}
OUTSIDE = {  # the same, outside of roles
    "code": r"`[^`]+`",
    "mathematics": r"\$[^$]+\$",
    "number that the figure fills in": r"(?<!\$)\{[^{}]+\}",
}


def catalog(path):
    """The messages of a .po or .pot file by their English text."""
    with path.open("rb") as file:
        return {message.id: message for message in read_po(file) if message.id}


def translations(page):
    return {told: message.string for told, message in catalog(CATALOGS / f"{page}.po").items()}


def built(builder, page, out, language="en"):
    """The page alone, by a builder of Sphinx: the file that it wrote."""
    settings = {
        "include_patterns": f"{page}.md", "root_doc": page, "language": language, "nitpicky": "0",
        "extensions": "myst_parser,mathematics,explorable,claims", "suppress_warnings": "ref,myst",
    }  # fmt: skip
    options = [f"-D{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "sphinx", "-q", "-b", builder, *options, str(DOCS), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / f"{page}.{'pot' if builder == 'gettext' else builder}"


def keys(page):
    """The names of a figure's texts, by which its script asks for them."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    figures = re.findall(r"^```\{explorable\}.*?^```", text, re.S | re.M)
    return {key for figure in figures for key in re.findall(r"^:([\w ]+):", figure, re.M)}


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    """The English texts of a page, as gettext finds them."""
    found = {}

    def texts(page):
        if page not in found:
            found[page] = set(catalog(built("gettext", page, tmp_path_factory.mktemp("pot"))))
        return found[page]

    return texts


def altered(told, said):
    """What a translation has not as often as the text."""
    texts = [told, said]
    outside = [re.sub(ROLE, " ", text) for text in texts]
    found = []
    for what, pattern in (KEPT | OUTSIDE).items():
        both = [Counter(re.findall(pattern, x)) for x in (outside if what in OUTSIDE else texts)]
        if both[0] != both[1]:
            found.append(f"{what}: {dict(both[0] - both[1])}, {dict(both[1] - both[0])}")
    return found


def test_the_first_chapter_is_in_chinese():
    assert "learn/line" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_text_is_translated(page, english):
    messages = catalog(CATALOGS / f"{page}.po")
    assert english(page) - set(messages) == set(), "texts without a translation"
    assert set(messages) - english(page) - keys(page) == set(), "translations of no text"
    for told, message in messages.items():
        assert message.string and not message.fuzzy, told
        same = told in keys(page) or not re.search(
            "[a-z]{2}", re.sub(r"\\[a-z]+(\{\w+\})?", "", told)
        )
        assert HAN.search(message.string) or (same and message.string == told), told


@pytest.mark.parametrize("page", PAGES)
def test_a_translation_keeps_what_is_no_text(page):
    for told, said in translations(page).items():
        assert altered(told, said) == [], told


@pytest.mark.parametrize("page", PAGES)
def test_each_term_is_another_one_in_chinese(page):
    """And those of the table of notions are the ones that stand there."""
    pairs = translations(page).items()
    terms = [
        re.findall(r"\{defined\}`([^`]+)`", " ".join(texts)) for texts in zip(*pairs, strict=True)
    ]
    assert len(terms[0]) == len(terms[1]) == len(set(terms[1]))
    notions = (DOCS / "notions.md").read_text(encoding="utf-8")
    said = " ".join(said for _, said in pairs)
    for term in ("训练集", "验证集", "测试集", "均方误差", "Huber 损失"):
        assert term in notions
        assert term in said or page != "learn/line"


@pytest.mark.parametrize("page", PAGES)
def test_the_built_page_has_the_same_code_claims_and_figures(page, tmp_path):
    found = []
    for language in ("en", "zh_CN"):
        tree = ElementTree.parse(built("xml", page, tmp_path / language, language))
        raw = [node.text or "" for node in tree.iter("raw")]
        told = r"(?<=\">).*?(?=</a>)|aria-label=\"[^\"]*\"|(?<=<noscript><p>).*?(?=</p>)"
        words = re.compile(told, re.S)  # these are texts
        found.append({
            "code": [node.text for node in tree.iter("literal_block")],
            "claims": Counter(n.text for n in tree.iter("inline") if n.get("classes") == "claim"),
            "figures": Counter(words.sub("", text) for text in raw),
            "texts": Counter(node.findtext("field_name") for node in tree.iter("field")),
            "mathematics": Counter(node.text for node in tree.iter("math")),
        })  # fmt: skip
    assert all(found[0].values())
    for what, wanted in found[0].items():
        assert found[1][what] == wanted, what


def test_the_frame_is_translated():
    """Every word of the templates that Sphinx does not translate itself."""
    own = translations("sphinx")
    folder = Path(sphinx.__file__).parent / "locale"
    theirs = gettext.translation("sphinx", folder, ["zh_CN"])
    templates = " ".join(path.read_text() for path in (DOCS / "_templates").rglob("*.html"))
    words = set(re.findall(r"""_\(\s*["'](.+?)["']\s*\)""", templates))
    assert len(words) > 10
    assert {word for word in words if theirs.gettext(word) == word} - set(own) == set()
    assert all(HAN.search(said) for said in own.values())


@pytest.mark.parametrize(
    "told, said",
    [
        ("{claim}`36 <a>` steps", "{claim}`37 <a>` 步"),
        ("{claim}`36 <a>` steps", "36 步"),
        ("{func}`jo.fit` runs", "`jo.fit` 运行"),
        ("{try}`flat <line-bowl weight=1>`", "{try}`平 <line-bowl weight=2>`"),
        ("a {defined}`loss`", "损失"),
        ("of $w$ and $b$", "$w$ 的"),
        ("`(30,)` is", "`(30)` 是"),
        ("the loss is {loss}.", "损失为 {损失}。"),
        ("[next](step.md)", "[下一章](line.md)"),
        ("**What?** This", "什么？这"),
    ],
)
def test_an_alteration_is_found(told, said):
    assert altered(told, said)


def test_a_faithful_translation_is_not_blamed():
    told = "**A** {try}`flat <a-b x=1>` [next](b.md) {claim}`3 <n>` of $w$, {x} `y` {defined}`loss`"
    said = "`y` {x} $w$ {claim}`3 <n>`，{defined}`损失`，[下](b.md) **甲** {try}`平 <a-b x=1>`"
    assert altered(told, said) == []
