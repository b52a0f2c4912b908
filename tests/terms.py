"""What reads the first chapters and docs/learn/terms.csv, the places that explain their terms.

A term is explained where it stands as {defined}`term`; a symbol by the words that the list quotes.
Neither is used before, in the order of the chapters: at the earliest in the same sentence.
A heading, and the question of a chapter, may name what stands below it. Code is not read.
"""

import csv
import functools
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EVERYDAY = "-"  # in place of a chapter: a word of the field that is used in its everyday sense

# ------------------------------------------------------------------------------ what a chapter says


@dataclass(frozen=True)
class Said:
    """A sentence, heading or text of a figure: its words without markup, and what stands in it."""

    chapter: str
    section: str  # the anchor of the heading above it
    level: int  # of a heading (the question of a chapter counts as 1), 0 for all else
    raw: str
    words: str
    defined: tuple[str, ...]
    symbols: tuple[str, ...]


LETTERS = "alpha beta gamma delta varepsilon eta theta lambda mu rho sigma"
GREEK = dict(zip("αβγδεηθλμρσ", LETTERS.split(" "), strict=True))
SET = (  # commands of LaTeX that are no symbols
    "frac", "sqrt", "left", "right", "cdot", "dots", "quad", "qquad", "big", "Big", "le", "ge",
    "approx", "in", "operatorname", "text", "mathrm", "log", "max", "min", "to", "infty", "times",
    "ne", "pm",
)  # fmt: skip
SPLIT = re.compile(r"(?<=[.?!\1])[*\"')]*\s+(?=[\"A-Z*\0{\[])")  # of sentences; \1: see `said`
MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.S)
SYMBOL = re.compile(
    r"\\(?:hat|bar|tilde)(?: *\{\w+\}| +\w)|\\[A-Za-z]+(?:_\d)?|[A-Za-z](?:_\d)?|'|∑|∇|∂"
)


def symbols(text: str) -> tuple[str, ...]:
    """The symbols of its $...$, and Greek letters outside: w, \\eta, \\beta_1, \\hat{m}."""
    inside = " ".join(a or b for a, b in MATH.findall(text))
    inside = re.sub(r"\\(?:text|mathrm|operatorname)\s*\{[^}]*\}", " ", inside)
    found = [re.sub(r"(hat|bar|tilde) *\{?(\w+)\}?", r"\1{\2}", m) for m in SYMBOL.findall(inside)]
    found = [m for m in found if m.removeprefix("\\") not in SET or not m.startswith("\\")]
    outside = MATH.sub(" ", text)
    for letter, index in re.findall(rf"([{''.join(GREEK)}])([₁₂]?)", outside):
        number = {"": "", "₁": "_1", "₂": "_2"}[index]
        found.append(f"\\{GREEK[letter]}{number}")
    return tuple(dict.fromkeys(found))


def words(text: str) -> str:
    """Without roles, links, code and mathematics."""
    text = MATH.sub(" , ", text)
    text = re.sub(r"\{(?:func|class|mod|meth|attr|ref|doc)\}`[^`]*`", " ", text)
    text = re.sub(r"\{\w+\}`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", text)
    text = re.sub(r"`[^`]*`|\{\w+\}", " ", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[*_{}]", " ", text)).strip()


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", words(heading).lower()).strip().replace(" ", "-")


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, headings (with their level), fields and titles of directives; no code."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(
        r"^(`{3,})(?:python|text|toctree|\{toctree\})\n.*?^\1$", "", text, flags=re.S | re.M
    )
    text = re.sub(r"^(?:`{3,}|:{3,})$|^:class:.*$", "", text, flags=re.M)
    text = re.sub(r"^`{3,}\{\w+\}.*$", "", text, flags=re.M)
    text = re.sub(r"^:{3,}\{\w+\} *(.*)$", r"\n\1.\n", text, flags=re.M)
    text = re.sub(r"^:[\w ]+: ?(.*)$", r"\n\1.\n", text, flags=re.M)  # fields
    text = re.sub(r"\n\s*(\$\$.+?\$\$)\s*\n", r"\n\1\n", text, flags=re.S)
    text = re.sub(r"^(?:-|\d+\.) ", "\n", text, flags=re.M)  # what a list lists
    for block in re.split(r"\n\s*\n", text):
        block = block.strip()
        if head := re.match(r"(#+) (.+)", block):
            yield len(head[1]), head[2]
        elif block:
            yield 0, block


@functools.cache
def said(chapter: str, text: str) -> tuple[Said, ...]:
    """All that a chapter says, in its order."""
    found: list[Said] = []
    section = ""
    for level, block in blocks(text):
        if level:
            section = anchor(block)
            found.append(_said(chapter, section, level, block))
            continue
        kept: list[str] = []  # mathematics has dots, too

        def keep(match: re.Match[str], kept: list[str] = kept) -> str:
            kept.append(match[0])
            return f"\0{len(kept) - 1}\0" + "\1" * match[0].startswith("$$")

        for sentence in SPLIT.split(MATH.sub(keep, block)):
            whole = re.sub(r"\0(\d+)\0\1?", lambda m, kept=kept: kept[int(m[1])], sentence)
            question = sentence.startswith("**") and "?" in sentence
            found.append(_said(chapter, section, int(question), whole))
    return tuple(found)


def _said(chapter: str, section: str, level: int, raw: str) -> Said:
    defined = tuple(" ".join(t.lower().split()) for t in re.findall(r"\{defined\}`([^`]+)`", raw))
    return Said(chapter, section, level, raw, words(raw), defined, symbols(raw))


# ---------------------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class Term:
    """A row: a term, or a symbol as $w$.

    pattern: of the words that mean it, where it is not the term itself, or its plural.
    words: those that explain a symbol; other names of a term; why a word is an everyday one.
    """

    term: str
    pattern: str
    chapter: str
    section: str
    words: str

    @property
    def symbol(self) -> str | None:
        return self.term.strip("$") if self.term.startswith("$") else None

    def used(self, one: Said) -> bool:
        if self.symbol:
            return self.symbol in one.symbols
        return bool(re.search(self.pattern or plain(self.term), one.words, re.I))


def plain(term: str) -> str:
    """The pattern of a term: its words, also in the plural."""
    joined = r"[\s-]+".join(map(re.escape, term.split()))
    return rf"\b{joined}(?:s|es)?\b"


def listed(text: str) -> list[Term]:
    rows = csv.DictReader(io.StringIO(text))
    assert rows.fieldnames == ["term", "pattern", "chapter", "section", "words"]
    return [Term(**row) for row in rows]


# ---------------------------------------------------------------------------------------- the rules


def faults(terms: list[Term], chapters: Mapping[str, str]) -> list[str]:
    """What is wrong: used before it is explained, or in the list or the chapters alone.

    A later chapter may explain a term again, and better; the list has the first place.
    """
    every = [one for name, text in chapters.items() for one in said(name, text)]
    wrong = [f"{t.term} is twice in the list" for i, t in enumerate(terms) if t in terms[:i]]
    places = {}
    for term in terms:
        if term.chapter == EVERYDAY:
            wrong += [] if term.words else [f"{term.term}: say why it is an everyday word"]
        elif term.chapter in chapters:
            place = _place(term, every)
            if place is None:
                wrong.append(f"{term.term}: {term.chapter}#{term.section} does not explain it")
            else:
                places[term.term.lower()] = place
                wrong += _early(term, place, every)
    for one in every:
        first = {t: every[places[t]] for t in one.defined if t in places}
        again = [t for t, x in first.items() if x is not one and x.chapter == one.chapter]
        wrong += [f"{t} is defined again (in {one.chapter}#{one.section})" for t in again]
    return wrong + unlisted(terms, chapters)


def unlisted(terms: list[Term], chapters: Mapping[str, str]) -> list[str]:
    """What the chapters define or write as a symbol, and the list does not know."""
    known = {t.term if t.symbol else t.term.lower() for t in terms if t.chapter in chapters}
    wrong = []
    for one in (one for name, text in chapters.items() for one in said(name, text)):
        where = f"{one.chapter}#{one.section}: {one.words[:60]}"
        new = [t for t in one.defined if t not in known]
        wrong += [f"{t} is defined, but not in the list ({where})" for t in new]
        unknown = [s for s in one.symbols if f"${s}$" not in known]
        wrong += [f"${s}$ is not in the list ({where})" for s in unknown]
    return wrong


def _place(term: Term, every: list[Said]) -> int | None:
    """Where it is explained: the sentence with {defined}, or with the words about a symbol."""
    quoted = re.sub(r"\s+", " ", term.words)
    for k, one in enumerate(every):
        if (one.chapter, one.section) != (term.chapter, term.section):
            continue
        if term.symbol:
            inside = quoted if "$" in quoted else f"${quoted}$"
            here = quoted in re.sub(r"\s+", " ", one.raw) and term.symbol in symbols(inside)
        else:
            here = term.term.lower() in one.defined
        if here:
            return k
    return None


def _early(term: Term, place: int, every: list[Said]) -> list[str]:
    """Uses before the place; a heading may name what stands below it."""
    return [
        f"{term.term} is used in {one.chapter}#{one.section}, before {term.chapter}#{term.section} "
        f"explains it: {one.words[:80]}"
        for k, one in enumerate(every[:place])
        if term.used(one) and not (one.level and place < _end(k, every))
    ]


def _end(k: int, every: list[Said]) -> int:
    """Where the section of a heading ends."""
    later = (
        j for j in range(k + 1, len(every))
        if every[j].chapter != every[k].chapter
        or (0 < every[j].level <= every[k].level and not every[j].raw.startswith("**"))
    )  # fmt: skip
    return next(later, len(every))


def missing(names: list[str], terms: list[Term], chapters: Mapping[str, str]) -> list[str]:
    """Names of the field that the chapters use and the list lacks."""
    every = " ".join(one.words for name, text in chapters.items() for one in said(name, text))
    has = {form for t in terms for form in (t.term.lower(), *t.words.lower().split(", "))}
    return [n for n in names if n.lower() not in has and re.search(plain(n), every, re.I)]


SIGN = re.compile(r"\\nabla|\\partial|\\prime|\\dot\b|∇|∂|\\frac\{\\?(?:mathrm\{)?d|\bd\w/d\w|\w'")


def derivatives(text: str) -> list[str]:
    """Signs of a derivative in its mathematics, and those that mean nothing else in its words."""
    mathematics = [a or b for a, b in MATH.findall(text)]
    found = [sign for m in mathematics for sign in SIGN.findall(m)]
    return found + re.findall(r"∇|∂|\bd[a-zA-Z]/d[a-zA-Z]\b|\bderivatives?\b", MATH.sub(" ", text))
