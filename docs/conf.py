"""Configuration of Sphinx."""

from __future__ import annotations

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from caloforge import __version__

project = "caloforge"
author = "The caloforge developers"
copyright = "The caloforge developers"  # noqa: A001
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["dollarmath", "deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
# Several classes have an attribute of the same name; that is no ambiguity for a reader.
suppress_warnings = ["ref.python"]
exclude_patterns = ["_build"]
html_extra_path = ["reports"]
html_theme = "furo"
html_title = "caloforge"
html_math_renderer = "mathml"


def inline_formula(writer: HTML5Translator, node: nodes.math) -> None:
    """A formula as MathML, which browsers draw themselves: nothing is loaded from a network."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def formula(writer: HTML5Translator, node: nodes.math_block) -> None:
    text = node.astext()
    if "\\\\" in text and "\\begin" not in text:  # several lines
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    elif "&" in text and "\\begin" not in text:
        text = text.replace("&", "")
    writer.body.append(f'<div class="math">{convert(text, display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
