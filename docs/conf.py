"""Sphinx: how the site is built. `jaxopt-edu learn` builds and serves it."""

import hashlib
import logging
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import translations  # noqa: E402

logging.basicConfig()  # else the package of the colors of code sets it up, and prints all there is

project = "jaxopt_edu"
author = "The jaxopt_edu authors"
extensions = ["myst_parser", "sphinx.ext.doctest", "mathematics", "reference", "mentions"]
extensions += ["finding", "files", "translations", "chinese", "policy"]
extensions += ["explorable", "claims", "notebooks"]  # what the chapters bring
exclude_patterns = ["locale", "programs", "figures", "_*"]
nitpicky = True
primary_domain = "py"
add_function_parentheses = False
python_maximum_signature_line_length = 400
toc_object_entries_show_parents = "hide"

myst_enable_extensions = [
    "dollarmath",
    "colon_fence",
    "deflist",
    "attrs_inline",
    "attrs_block",
    "fieldlist",
]
myst_heading_anchors = 4
myst_links_external_new_tab = False

language = "en"
locale_dirs = ["locale"]
gettext_compact = False
gettext_uuid = False
doctest_test_doctest_blocks = "default"
linkcheck_ignore = [r"^(?!https?://)"]  # those within the site are checked in every build
linkcheck_timeout = 20
trim_doctest_flags = True

if tags.has(translations.CHINESE):  # noqa: F821  (Sphinx gives `tags`)
    pages = translations.complete(HERE, translations.CHINESE)
    include_patterns = [f"{page}.md" for page in pages]
    root_doc = "index" if "index" in pages else pages[0]
    suppress_warnings = ["toc.excluded", "toc.not_readable"]
    extensions.insert(extensions.index("reference") + 1, "sphinx.ext.intersphinx")

html_theme = "furo"
html_title = "jaxopt_edu"
html_math_renderer = "mathml"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_favicon = "_static/favicon.svg"
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"


def setup(app):
    """Pages are read anew where the extensions that make them changed."""
    code = b"".join(path.read_bytes() for path in sorted((HERE / "_ext").glob("*.py")))
    app.add_config_value("made_by", hashlib.sha256(code).hexdigest(), "env")
