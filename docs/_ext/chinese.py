"""Sphinx: a search for Chinese pages, by pairs of characters.

Words are not parted in Chinese. A text is indexed by every two characters that stand side by side,
and a query is cut in the same way, so every query of two characters or more finds each page that
has it; no dictionary decides. Latin words are taken as they are, in lower case.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
LATIN = re.compile(r"[A-Za-z0-9_]+")


class Pairs(SearchLanguage):
    """Sphinx's Chinese search needs a dictionary, and in 9.0 a stemmer that is not there."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = r"""
function splitQuery(query) {
  const parts = query.match(/[\u3400-\u4dbf\u4e00-\u9fff]+|[A-Za-z0-9_]+/g) || [];
  return parts.flatMap((part) => {
    if (/^[A-Za-z0-9_]/.test(part) || part.length < 2) return [part];
    return Array.from({ length: part.length - 1 }, (_, i) => part.slice(i, i + 2));
  });
}
"""

    def split(self, input: str) -> list[str]:
        pairs = [run[i : i + 2] for run in HAN.findall(input) for i in range(max(len(run) - 1, 1))]
        return pairs + LATIN.findall(input)

    def stem(self, word: str) -> str:
        return word.lower()

    def word_filter(self, word: str) -> bool:
        return len(word) > 1 and not word.isdigit()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_search_language(Pairs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
