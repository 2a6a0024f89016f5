"""Names of a model's inputs, outputs and embeddings as a file can have them.

Keras lets a name be any text. The runtime ends a name at its first NUL, TensorFlow names nodes of a
graph by few letters, and a name of megabytes is stored with every tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 200
_NO_NODE = re.compile(r"[^A-Za-z0-9_.\-]")


def node_names(names: Iterable[object], fallback: str = "input") -> list[str]:
    """Names that nodes of a graph may have: letters, digits and `_.-`, all different.

    Example:
        >>> node_names(["user", "my ids", "my_ids", ""])
        ['user', 'my_ids', 'my_ids_1', 'input']
    """
    plain = (_NO_NODE.sub("_", str(name)) for name in names)
    # What begins with a sign is no name of a node.
    return _different((re.sub(r"^(?=[_\-])", fallback, name) or fallback) for name in plain)


def file_names(names: Iterable[object], fallback: str = "output") -> list[str]:
    r"""Names without control characters and of bounded length, all different.

    Example:
        >>> file_names(["price [€]", "a\0b", "", "x" * 1000])[:3]
        ['price [€]', 'a_b', 'output']
    """
    shown = (
        "".join(letter if letter.isprintable() else "_" for letter in str(name)) for name in names
    )
    return _different(name or fallback for name in shown)


def _different(names: Iterable[str]) -> list[str]:
    """Names cut to a length, with a number behind one that others have too."""
    found: list[str] = []
    for whole in names:
        name = own = whole[:LONGEST]
        number = 0
        while name in found:
            number += 1
            name = f"{own}_{number}"
        found.append(name)
    return found
