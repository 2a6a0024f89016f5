"""What pages of a built site load when they are opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# Not `<a href>`, which a reader follows: these are loaded without being asked for.
_TAG = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio|embed|object|input|use|image)\b[^>]*"
    r"""\b(?:src|srcset|href|poster|data)\s*=\s*["']?(?:https?:)?//[^>]*>""",
    re.IGNORECASE,
)
_URL = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^\s"')]+""", re.IGNORECASE)


def loads_from_elsewhere(site: Path) -> Iterator[str]:
    """Scripts, styles, fonts and pictures that the pages of a site take from another host."""
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".css"):
            text = path.read_text()
            found = _URL.findall(text)
            if path.suffix == ".html":
                found += _TAG.findall(text)
            for each in found:
                yield f"{path.relative_to(site)} loads from another host: {each}"
