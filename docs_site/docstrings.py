"""Docstrings as Griffe reads them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTIONS = {
    "Example:": "Examples:",
    "Call arguments:": "Other Parameters: Call arguments",
    "Returns of a call:": "Returns: Returns of a call",
}
"""Sections of our docstrings, as kinds that Griffe knows and a title."""
_SECTION = re.compile(rf"^(?:{'|'.join(_SECTIONS)})$", re.MULTILINE)


class Sections(griffe.Extension):
    """Lets Griffe see code and arguments where our docstrings have them."""

    def on_object(self, *, obj: griffe.Object, **_of_the_loader: Any) -> None:
        """Renames the sections in the docstring of each object."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = _SECTION.sub(lambda found: _SECTIONS[found[0]], text)
