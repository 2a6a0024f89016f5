"""How large each table of a method may be, so that the file takes the bytes that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.search import largest_file
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.layers.contract.sizing import largest_that_fits

_SPARE = 0.02
"""Share of the bytes that may be left over."""


class Sized(NamedTuple):
    """A method at a size.

    Attributes:
        candidate: The method and its arguments.
        rows: Ids of the table.
        width: Width of its vectors; narrower than the model's where the method has no other size.
    """

    candidate: Candidate
    rows: int
    width: int

    def layer(self, **kwargs: Any) -> CompressedEmbedding:
        """A new layer."""
        return self.candidate.method(self.rows, self.width, **self.candidate.arguments, **kwargs)

    def __str__(self) -> str:
        narrow = "" if self.candidate.method.size_argument else f", width {self.width}"
        return f"{self.candidate}{narrow}"


def table_within(
    method: type[CompressedEmbedding],
    rows: int,
    width: int,
    max_bytes: float,
    arguments: Mapping[str, Any],
) -> Sized:
    """The largest table of a method that is stored in so many bytes, or its smallest."""
    argument = method.size_argument

    def at(size: int) -> Sized:
        if argument is None:
            return Sized(Candidate(method, arguments), rows, size)
        return Sized(Candidate(method, {**arguments, argument: size}), rows, width)

    def fits(size: int) -> bool:
        found = at(size)
        return found.candidate.stored_bytes(rows, found.width) <= max_bytes

    sizes: Sequence[int] = range(1, width + 1)
    if argument is not None:
        sizes = method.size_range(rows, width, **arguments)
    found = largest_that_fits(sizes, fits)
    return at(sizes[0] if found is None else found)


def tables_within(
    method: type[CompressedEmbedding],
    shapes: Mapping[str, tuple[int, int]],
    limit: int,
    overhead: int,
    file_bytes: Callable[[dict[str, Sized]], int],
    **arguments: Any,
) -> dict[str, Sized] | None:
    """Tables of a method, sizes in proportion, of which a file takes at most so many bytes.

    Args:
        method: The layer's class.
        shapes: Rows and width of each table.
        limit: Bytes of the file.
        overhead: About what it takes beside these tables.
        file_bytes: Bytes of the file of such tables.
        **arguments: Further ones of the method.

    Returns:
        The tables; None where the smallest do not fit.
    """
    whole = sum(rows * width for rows, width in shapes.values())

    def make(room: int) -> dict[str, Sized]:
        return {
            name: table_within(method, rows, width, room * rows * width / whole, arguments)
            for name, (rows, width) in shapes.items()
        }

    found = largest_file(limit, max(0, limit - overhead), make, file_bytes, spare=_SPARE)
    return None if found is None else found.made
