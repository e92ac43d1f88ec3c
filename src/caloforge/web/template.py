"""The templates of pages: HTML files of this folder with ``%%NAME%%`` where parts go in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

__all__ = ["render", "resource"]


def render(template: str, parts: Mapping[str, str]) -> str:
    """Put parts into a template.

    Args:
        template: Name of the file.
        parts: What to put in, by name; ``style`` is the style sheet of all pages.

    Returns:
        The page.
    """
    parts = {"style": resource("overview.css"), **parts}
    # Split first, so that nothing within one part is taken for the mark of another.
    pieces = resource(template).split("%%")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def resource(name: str) -> str:
    """The text of a file of this folder."""
    return (resources.files("caloforge.web") / name).read_text("utf-8")
