"""docs/learn/terms.csv: each term and symbol of the first chapters, and the place that explains it.

A term is explained where it stands as {defined}`term`; a symbol by the words that the list quotes.
Neither is used before, in the order of the chapters: at the earliest in the same sentence.
A heading, and the question of a chapter, may name what stands below it. Code is not read.
"""

import re
from pathlib import Path

import pytest
from terms import EVERYDAY, derivatives, faults, listed, missing, plain, said, symbols, unlisted

DOCS = Path(__file__).parent.parent / "docs"
LEARN = DOCS / "learn"
ORDER = ("line", "step", "noise", "coordinates")  # the chapters, as one reads them

# ------------------------------------------------------------------------------------- the chapters

TERMS = listed((LEARN / "terms.csv").read_text(encoding="utf-8"))
CHAPTERS = {
    name: (LEARN / f"{name}.md").read_text(encoding="utf-8")
    for name in ORDER
    if any(t.chapter == name for t in TERMS)
}


def names_of_the_field() -> list[str]:
    """The terms of the glossary and of the table of notions, each by itself, in the singular."""
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    tables = glossary.split("## Words that name nothing")[0]
    tables += (DOCS / "notions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|`]+?) \|", tables, re.M)
    pieces = [piece.strip() for row in rows for piece in re.split(r"[,:()]| and |its family", row)]
    names = [re.sub(r"^a |(?<=ch)es$|(?<=[^su])s$", "", piece) for piece in pieces]
    headings = ("", "term", "notion", "---")
    return [name for name in dict.fromkeys(names) if name not in headings]


def test_the_chapters_that_the_list_covers_come_first():
    assert list(CHAPTERS) == list(ORDER[: len(CHAPTERS)]) and len(CHAPTERS) >= 2
    assert {t.chapter for t in TERMS} - {EVERYDAY} == set(CHAPTERS)


def test_nothing_is_used_before_it_is_explained():
    found = faults(TERMS, CHAPTERS)
    assert not found, "\n".join(found)


def test_each_row_is_needed():
    """Without it, the chapters have a term or a symbol that the list does not know."""
    for row in (row for row in TERMS if row.chapter != EVERYDAY):
        found = unlisted([other for other in TERMS if other != row], CHAPTERS)
        assert found, row.term


def test_in_another_order_the_chapters_are_wrong():
    for k in range(len(CHAPTERS) - 1):
        names = list(CHAPTERS)
        names[k], names[k + 1] = names[k + 1], names[k]
        assert len(faults(TERMS, {name: CHAPTERS[name] for name in names})) > 2


def test_the_list_has_the_names_of_the_field():
    names = names_of_the_field()
    assert len(names) > 150 and {"Adam", "gradient descent", "batch", "lane", "momentum"} <= set(
        names
    )
    assert missing(names, TERMS, CHAPTERS) == []


def test_everyday_words_are_used():
    """A row that excuses a word that no chapter uses would excuse it later, too."""
    every = " ".join(one.words for name, text in CHAPTERS.items() for one in said(name, text))
    idle = [
        t.term for t in TERMS if t.chapter == EVERYDAY and not re.search(plain(t.term), every, re.I)
    ]
    assert idle == []


def test_no_derivative_is_written_before_a_slope_is_shown():
    before, picture, _ = CHAPTERS["step"].partition("{explorable} step-slope")
    assert picture
    assert derivatives(CHAPTERS["line"]) == derivatives(before) == []


# ------------------------------------------------------------------- the rules, on texts made up

FIGURE = "```{explorable} a-b\n:title: Words\n\n:says x: A rate {x}\n```\n\n"
BOX = ":::{admonition} A rate\n:class: x\nWords.\n:::\n\n"
HEAD = "term,pattern,chapter,section,words\n"
RATE = HEAD + "rate,,a,rates,\n$w$,,a,rates,$w$ is the weight\n"
GOOD = "# Rates\n\nA {defined}`rate` is a number. Here $w$ is the weight. Two rates.\n"


@pytest.mark.parametrize(
    "rows, text, told",
    [
        (RATE, GOOD, None),
        (RATE, GOOD.replace("A {", "Rates come first. A {"), "rate is used in a#rates, before"),
        (RATE, GOOD.replace("A {", "The rate of $w$. A {"), "$w$ is used in a#rates, before"),
        (RATE, GOOD.replace("Here", "Let\n\n$$w = 1$$\n\nwhere"), None),  # in the same sentence
        (RATE, GOOD.replace("Here", "Let\n\n$$w = 1.$$\n\nHere"), "$w$ is used in a#rates, before"),
        (RATE, GOOD.replace("Two", "Two $v$"), "$v$ is not in the list"),
        (RATE, GOOD.replace("Two", "Two η"), "$\\eta$ is not in the list"),
        (
            RATE,
            GOOD.replace("Two", "Two {defined}`other`"),
            "other is defined, but not in the list",
        ),
        (RATE, GOOD.replace("Two", "A {defined}`rate`. Two"), "rate is defined again"),
        (RATE, GOOD.replace("{defined}`rate`", "rate"), "rate: a#rates does not explain it"),
        (RATE, GOOD.replace("weight", "number"), "$w$: a#rates does not explain it"),
        (RATE, GOOD + "\n```python\nv = slope  # $v$\n```\n", None),  # code is not read
        (RATE, GOOD + "\n`v` and {func}`v.x`\n", None),
        (RATE + "slope,,a,rates,\n", GOOD, "slope: a#rates does not explain it"),
        (RATE + "run,,-,,\n", GOOD, "run: say why it is an everyday word"),
        (RATE + "rate,,a,rates,\n", GOOD, "rate is twice in the list"),
        (
            RATE,
            "# First\n\n## A rate\n\nNothing.\n\n" + GOOD.replace("# R", "## R"),
            "rate is used in a#a-rate, before",
        ),  # a heading whose section does not explain it
        (RATE, GOOD.replace("A {", "**Which rate?** A {"), None),  # the question of the chapter
        (RATE, GOOD.replace("A {", "**A rate.** A {"), "rate is used in a#rates, before"),
        (RATE, FIGURE + GOOD, "rate is used in a#, before"),
        (RATE, BOX + GOOD, "rate is used in a#, before"),
        (RATE, GOOD.replace("A {", "The [rate](b.md) of {claim}`3 <x>`. A {"), "before"),
        (RATE, GOOD.replace("A {", "The {try}`rate <a-b x=1>`. A {"), "before"),
    ],
)
def test_a_fault_is_found(rows, text, told):
    found = faults(listed(rows), {"a": text})
    assert found == [] if told is None else any(told in one for one in found), found


def test_the_order_of_the_chapters_counts():
    early = "# Before\n\nThe rate.\n"
    assert faults(listed(RATE), {"a": GOOD, "b": early}) == []
    assert faults(listed(RATE), {"b": early, "a": GOOD}) == [
        "rate is used in b#before, before a#rates explains it: The rate."
    ]


def test_a_missing_name_is_found():
    chapters = {"a": GOOD + "\nThe batches of a lane.\n"}
    assert missing(["batch", "lane", "tile"], listed(RATE), chapters) == ["batch", "lane"]
    assert (
        missing(["batch", "lane"], listed(RATE + "batch,,a,rates,\nlane,,-,,why\n"), chapters) == []
    )


@pytest.mark.parametrize(
    "text, found",
    [
        (r"$\nabla f$", 1), (r"$\partial f$", 1), ("$f'(x)$", 1), ("$f''$", 1), ("∇", 1),
        ("$dl/dw$", 1), ("dl/dw", 1), ("the derivative", 1), (r"$\frac{df}{dx}$", 1),
        (r"$\frac{\mathrm{d}f}{x}$", 1), ("a library's word, $w_t / b$", 0), ("$$w - g$$", 0),
    ],
)  # fmt: skip
def test_a_sign_of_a_derivative_is_found(text, found):
    assert len(derivatives(text)) == found


@pytest.mark.parametrize(
    "text, found",
    [
        (r"$w_{t+1} = w_t - \eta\, g_t$", ["w", "t", "\\eta", "g"]),
        (r"$\beta_1$ and β₂, $\hat{m}_t$", ["\\beta_1", "\\hat{m}", "t", "\\beta_2"]),
        (r"$\hat v_t$, ε", ["\\hat{v}", "t", "\\varepsilon"]),
        (r"$\operatorname{mean}_i x_i / \sqrt{n}$", ["i", "x", "n"]),
        ("w and `$v$`, {x}", ["v"]),
    ],
)
def test_symbols_are_found(text, found):
    assert list(symbols(text)) == found
