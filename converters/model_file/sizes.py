"""What a file weighs where it is compressed on its way, and what its tables are."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from memcom_tf.text import html_table

_CHUNK = 2**20


def compressed_bytes(parts: Iterable[bytes]) -> int:
    """Bytes after zlib at its default level, as an app store delivers a file.

    Args:
        parts: The content in order.

    Returns:
        The size; little depends on how the content is cut into parts.

    Example:
        >>> compressed_bytes([bytes(1000)])
        17
    """
    compressor = zlib.compressobj()
    return sum(len(compressor.compress(part)) for part in parts) + len(compressor.flush())


def parts_of(path: Path) -> Iterator[bytes]:
    """The content of a file, a megabyte at a time."""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            yield part


def html_of_tables(caption: str, report: dict[str, Any]) -> str:
    """The tables of a file, and how they are stored, for a notebook."""
    rows = [
        [f"{e['name']}/{t['name']}", t["storage"].replace("_", " "), f"{t['rows']:,}", t["width"]]
        for e in report["embeddings"]
        for t in e["tables"]
    ]
    return html_table(caption, ["table", "stored as", "rows", "width"], rows)
