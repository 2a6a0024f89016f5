"""Methods that fit a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from memcom_tf.layers import (
    CompressedEmbedding,
    FullEmbedding,
    HashedEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    ResidualQuantizedEmbedding,
)
from memcom_tf.layers.contract.sizing import largest_that_fits
from memcom_tf.tables import RowSharing

_LEAST_ROWS = 64
_DEDICATED_SHARES = (0.0, 0.25, 0.5, 0.75)
"""Shares of the rows that belong to single, frequent ids."""
_HASHED = ((0.5, True), (0.75, False), (0.9, False))
"""The same share of rows alone, and whether items have biases: rare ids then cost no byte."""
_LOW_MEMCOM = {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}
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
        item_bias: Whether a ranker gets a bias for every item, a byte each.
    """

    method: type[CompressedEmbedding]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    item_bias: bool = True

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def sharing(self) -> RowSharing | None:
        """How ids share rows, for which they should be ordered."""
        num_buckets = self.arguments.get("num_buckets")
        own = self.arguments.get("num_dedicated", self.arguments.get("num_unshared", 0))
        return None if num_buckets is None else RowSharing(num_buckets, own)

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
        without = [] if self.item_bias else ["no item bias"]
        return f"{self.method.__name__}({', '.join(sizes + bits + without)})"


Family = Callable[[int, int, int], Candidate | None]
"""Takes `input_dim`, `output_dim` and bytes; the largest candidate whose tables they can hold."""


def families(input_dim: int) -> list[Family]:
    """The methods worth trying for a vocabulary of that size, each with its ways of storing."""
    found: list[Family] = [
        partial(_full, storage={}),
        partial(_full, storage={"embeddings": "int4_per_row"}),
        _low_rank,
        partial(_memcom, storage={}, dedicated=0.0),
    ]
    found += [partial(_memcom, storage=_LOW_MEMCOM, dedicated=share) for share in _DEDICATED_SHARES]
    found += [
        partial(_hashed, dedicated=share, item_bias=item_bias) for share, item_bias in _HASHED
    ]
    sizes = [256, 16] if input_dim < _SMALL_CATALOGUE else [256]
    found += [
        partial(_residual, num_codes=num_codes, dedicated=share)
        for num_codes in sizes
        for share in _DEDICATED_SHARES[::2]
    ]
    return found


def candidates_for(input_dim: int, output_dim: int, max_bytes: int) -> list[Candidate]:
    """The methods worth trying for a table, each as large as the bytes allow.

    Args:
        input_dim: Size of the vocabulary.
        output_dim: Width of an embedding.
        max_bytes: Bytes of the stored tables, at most.

    Returns:
        Candidates, none where nothing fits.

    Example:
        >>> for candidate in candidates_for(40_000, 64, max_bytes=180_000)[::5]:
        ...     print(candidate)
        MEmComEmbedding(num_buckets=1562)
        HashedEmbedding(num_buckets=2813, num_dedicated=2812, hashed int4)
    """
    sized = (family(input_dim, output_dim, max_bytes) for family in families(input_dim))
    return list(worth_trying(sized))


def worth_trying(candidates: Iterable[Candidate | None]) -> Iterator[Candidate]:
    """Those that there are, up to one with a row for every id, which nothing behind it beats."""
    for candidate in candidates:
        if candidate is not None:
            yield candidate
            if candidate.method is FullEmbedding:
                return


def _full(
    input_dim: int, output_dim: int, max_bytes: int, storage: Mapping[str, Any]
) -> Candidate | None:
    candidate = Candidate(FullEmbedding, {"storage": storage} if storage else {})
    return candidate if candidate.stored_bytes(input_dim, output_dim) <= max_bytes else None


def _low_rank(input_dim: int, output_dim: int, max_bytes: int) -> Candidate | None:
    def of_rank(rank: int) -> Candidate:
        return Candidate(LowRankEmbedding, {"rank": rank, "storage": {"factor": "int4_per_row"}})

    rank = largest(of_rank, output_dim, input_dim, output_dim, max_bytes)
    return of_rank(rank) if rank * _LEAST_RANK_SHARE >= output_dim else None


def _memcom(
    input_dim: int, output_dim: int, max_bytes: int, storage: Mapping[str, Any], dedicated: float
) -> Candidate | None:
    fixed = {"storage": storage} if storage else {}
    return _with_rows(
        MEmComEmbedding, fixed, dedicated, input_dim - 1, input_dim, output_dim, max_bytes
    )


def _hashed(
    input_dim: int, output_dim: int, max_bytes: int, dedicated: float, item_bias: bool
) -> Candidate | None:
    fixed = {"storage": {"hashed": "int4_per_table"}}
    found = _with_rows(
        HashedEmbedding, fixed, dedicated, input_dim - 1, input_dim, output_dim, max_bytes
    )
    return found and replace(found, item_bias=item_bias)


def _residual(
    input_dim: int, output_dim: int, max_bytes: int, num_codes: int, dedicated: float
) -> Candidate | None:
    """As many codes an id as fit, or one less, and the rest of the bytes for rows of ids."""
    books: dict[str, Any] = {"storage": {"codebooks": "int4_per_row"}}
    if num_codes < 256:
        books["num_codes"] = num_codes

    def of_books(count: int) -> Candidate:
        return Candidate(ResidualQuantizedEmbedding, {"num_codebooks": count, **books})

    count = largest(of_books, output_dim, input_dim, output_dim, max_bytes)
    most = input_dim // _ITEMS_A_BUCKET
    for fewer in range(count - bool(dedicated), max(count - 2, 0), -1):
        storage = {**books["storage"], "shared": "int4_per_row"}
        fixed = {**books, "num_codebooks": fewer, "storage": storage}
        found = _with_rows(
            ResidualQuantizedEmbedding, fixed, dedicated, most, input_dim, output_dim, max_bytes
        )
        if found is not None:
            return found
    return of_books(count) if count and not dedicated else None


def _with_rows(
    method: type[CompressedEmbedding],
    fixed: Mapping[str, Any],
    dedicated: float,
    most: int,
    input_dim: int,
    output_dim: int,
    max_bytes: int,
) -> Candidate | None:
    """As many rows as fit, at most `most`, a share of them for single ids."""

    def of_rows(rows: int) -> Candidate:
        own = int(dedicated * rows)
        sharing = RowSharing(rows - own, own).arguments() if own else {"num_buckets": rows}
        return Candidate(method, {**sharing, **fixed})

    rows = largest(of_rows, most, input_dim, output_dim, max_bytes)
    return of_rows(rows) if rows >= _LEAST_ROWS else None


def largest(
    make: Callable[[int], Candidate], most: int, input_dim: int, output_dim: int, max_bytes: int
) -> int:
    """The largest size whose candidate fits, 0 where none does."""
    found = largest_that_fits(
        range(1, most + 1), lambda size: make(size).stored_bytes(input_dim, output_dim) <= max_bytes
    )
    return found or 0
