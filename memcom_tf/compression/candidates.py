"""Methods that fit a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memcom_tf.layers import (
    CompressedEmbedding,
    FullEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    ResidualQuantizedEmbedding,
)

_LEAST_BUCKETS = 64
_ITEMS_A_BUCKET = 8
"""Beyond one shared row for so many items, codes are the better use of bytes."""
_CODES = 256


@dataclass(frozen=True)
class Candidate:
    """A method and its size.

    Attributes:
        method: The layer's class.
        arguments: Its own arguments.
    """

    method: type[CompressedEmbedding]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_buckets(self) -> int | None:
        """Shared rows of ids with one remainder, for which the ids should be ordered."""
        return self.arguments.get("num_buckets")

    def layer(self, input_dim: int, output_dim: int) -> CompressedEmbedding:
        """A new layer."""
        return self.method(input_dim, output_dim, **self.arguments)

    def stored_bytes(self, input_dim: int, output_dim: int) -> int:
        """Bytes of the tables in an exported file."""
        layer = self.layer(input_dim, output_dim)
        return sum(table.stored_bytes for table in layer.ships_as().tables())

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.method.__name__}({arguments})"


def candidates_for(input_dim: int, output_dim: int, max_bytes: int) -> list[Candidate]:
    """The methods worth trying for a table, each as large as the bytes allow.

    Args:
        input_dim: Size of the vocabulary.
        output_dim: Width of an embedding.
        max_bytes: Bytes of the stored tables, at most.

    Returns:
        Candidates, none where nothing fits.

    Example:
        >>> for candidate in candidates_for(40_000, 64, max_bytes=250_000):
        ...     print(candidate)
        LowRankEmbedding(rank=2)
        MEmComEmbedding(num_buckets=2656)
        ResidualQuantizedEmbedding(num_codebooks=4, num_buckets=299)
        ResidualQuantizedEmbedding(num_codebooks=3, num_buckets=1144)
    """

    def largest(make: Callable[[int], Candidate], most: int) -> Candidate | None:
        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            fits = make(middle).stored_bytes(input_dim, output_dim) <= max_bytes
            low, high = (middle, high) if fits else (low, middle)
        return make(low) if low else None

    found: list[Candidate | None] = []
    if Candidate(FullEmbedding).stored_bytes(input_dim, output_dim) <= max_bytes:
        return [Candidate(FullEmbedding)]
    found.append(largest(lambda rank: Candidate(LowRankEmbedding, {"rank": rank}), output_dim))
    rate = {"multiplier_learning_rate": 10.0}
    memcom = largest(lambda m: Candidate(MEmComEmbedding, {"num_buckets": m}), input_dim)
    if memcom is not None and memcom.arguments["num_buckets"] >= _LEAST_BUCKETS:
        found.append(Candidate(MEmComEmbedding, {**memcom.arguments, **rate}))
    books = largest(
        lambda count: Candidate(ResidualQuantizedEmbedding, {"num_codebooks": count}),
        2 * output_dim,
    )
    most_books = 0 if books is None else books.arguments["num_codebooks"]
    for count in (most_books, most_books - 1):
        if count < 1:
            continue
        arguments = {"num_codebooks": count}

        def with_buckets(m: int, arguments: dict[str, int] = arguments) -> Candidate:
            return Candidate(ResidualQuantizedEmbedding, {**arguments, "num_buckets": m})

        bucketed = largest(with_buckets, max(1, input_dim // _ITEMS_A_BUCKET))
        enough = bucketed is not None and bucketed.arguments["num_buckets"] >= _LEAST_BUCKETS
        found.append(bucketed if enough else Candidate(ResidualQuantizedEmbedding, arguments))
    return [candidate for candidate in found if candidate is not None]
