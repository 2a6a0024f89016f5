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
_SMALL_CATALOGUE = 8192
_LEAST_RANK_SHARE = 16
"""A rank of less than one in so many dimensions loses most of what a table holds."""


@dataclass(frozen=True)
class Candidate:
    """A method and its size.

    Attributes:
        method: The layer's class.
        arguments: Its own arguments.
    """

    method: type[CompressedEmbedding]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def kind(self) -> tuple[Any, ...]:
        """What is the same for every size."""
        storage = self.arguments.get("storage", {})
        return self.method, self.arguments.get("num_codes"), tuple(sorted(storage.items()))

    @property
    def num_buckets(self) -> int | None:
        """Shared rows of ids with one remainder, for which the ids should be ordered."""
        return self.arguments.get("num_buckets")

    def layer(self, input_dim: int, output_dim: int) -> CompressedEmbedding:
        """A new layer."""
        return self.method(input_dim, output_dim, **self.arguments)

    def stored_bytes(self, input_dim: int, output_dim: int) -> int:
        """Bytes of the tables in an exported file."""
        tables = self.layer(input_dim, output_dim).stored_tables()
        return sum(table.stored_bytes for table in tables)

    def __str__(self) -> str:
        sizes = [f"{name}={value}" for name, value in self.arguments.items() if name != "storage"]
        storage = self.arguments.get("storage", {})
        bits = [f"{name} {form.partition('_')[0]}" for name, form in storage.items()]
        return f"{self.method.__name__}({', '.join(sizes + bits)})"


def candidates_for(input_dim: int, output_dim: int, max_bytes: int) -> list[Candidate]:
    """The methods worth trying for a table, each as large as the bytes allow.

    Args:
        input_dim: Size of the vocabulary.
        output_dim: Width of an embedding.
        max_bytes: Bytes of the stored tables, at most.

    Returns:
        Candidates, none where nothing fits.

    Example:
        >>> for candidate in candidates_for(40_000, 64, max_bytes=180_000)[::2]:
        ...     print(candidate)
        MEmComEmbedding(num_buckets=1562)
        ResidualQuantizedEmbedding(num_buckets=898, num_codebooks=3, codebooks int4, shared int4)
    """

    def largest(make: Callable[[int], Candidate], most: int) -> Candidate | None:
        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            fits = make(middle).stored_bytes(input_dim, output_dim) <= max_bytes
            low, high = (middle, high) if fits else (low, middle)
        return make(low) if low else None

    if Candidate(FullEmbedding).stored_bytes(input_dim, output_dim) <= max_bytes:
        return [Candidate(FullEmbedding)]
    found = []
    low_rank = largest(lambda rank: Candidate(LowRankEmbedding, {"rank": rank}), output_dim)
    if low_rank is not None and low_rank.arguments["rank"] * _LEAST_RANK_SHARE >= output_dim:
        found.append(low_rank)

    def shared(method: type[CompressedEmbedding], fixed: Mapping[str, Any], most: int) -> bool:
        candidate = largest(lambda m: Candidate(method, {"num_buckets": m, **fixed}), most)
        if candidate is None or candidate.arguments["num_buckets"] < _LEAST_BUCKETS:
            return False
        found.append(candidate)
        return True

    for storage in ({}, {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}):
        shared(MEmComEmbedding, {"storage": storage} if storage else {}, input_dim)
    low = {"codebooks": "int4_per_row"}
    # Books of 256 rows are most of a small file.
    few = [(low, 16)] if input_dim < _SMALL_CATALOGUE else []
    for books, num_codes in [(low, 256), ({}, 256), *few]:
        fixed: dict[str, Any] = {"storage": books} if books else {}
        if num_codes < 256:
            fixed["num_codes"] = num_codes

        def of_books(count: int, fixed: Mapping[str, Any] = fixed) -> Candidate:
            return Candidate(ResidualQuantizedEmbedding, {"num_codebooks": count, **fixed})

        most = largest(of_books, output_dim)
        if most is None:
            continue
        count = most.arguments["num_codebooks"]
        if books:
            fixed = {**fixed, "storage": {**books, "shared": "int4_per_row"}}
        buckets = input_dim // _ITEMS_A_BUCKET
        for fewer in (count, count - 1):
            arguments = {"num_codebooks": fewer, **fixed}
            if fewer and shared(ResidualQuantizedEmbedding, arguments, buckets):
                break
        else:
            found.append(most)
    return [candidate for candidate in found if candidate is not None]
