"""Sphinx: numbers of the prose that a test reads from the arrays, and places that explain terms.

{claim}`36 <fastest_steps>`    36 is `claims()["fastest_steps"]` of the chapter's module in
                               figures/, to the digits that are written, or as a word before it
                               says: about (within 5%), at most, at least
{defined}`learning rate`       the place that explains the term (learn/terms.csv lists them)
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

CLAIM = re.compile(r"(?P<said>.+?)\s*<(?P<name>\w+)>", re.S)


class Claim(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = CLAIM.fullmatch(self.text)
        if found is None:
            raise ValueError(f"claim: {self.text!r} is not: number <name>")
        return [nodes.inline(self.rawtext, found["said"], classes=["claim"])], []


class Defined(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        return [nodes.emphasis(self.rawtext, self.text, classes=["defined"])], []


def setup(app: Sphinx) -> dict[str, object]:
    app.add_role("claim", Claim())
    app.add_role("defined", Defined())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
