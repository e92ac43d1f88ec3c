"""Configuration of Sphinx."""

from caloforge import __version__

project = "caloforge"
author = "The caloforge developers"
copyright = "The caloforge developers"  # noqa: A001
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
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
