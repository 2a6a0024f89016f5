"""Mixed dimensions: frequent ids have wide rows, rare ones narrow rows, projected to one width."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from memcom_tf.approximation import closed_forms
from memcom_tf.approximation.allocation import best_precisions
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_MORE_IDS, _NARROWER = 16, 4
"""A range ends at so many times the ids of the one before, and is so many times narrower."""


@register_method
class MixedDimensionEmbedding(CompressedEmbedding):
    """Mixed dimensions: `vector(i) = E_b[i - first_b] P_b`, where `b` is the range of the id.

    Ids of a range share a width. A row as wide as the vector needs no projection, and all ids of
    a range of width 0 share one vector. It suits a vocabulary that is ordered by importance, the
    most important ids first, as `memcom_tf.Vocabulary` orders by frequency. With a `storage` of
    each range's table, such as `{"rows_1": "int4_per_row"}`, rare ids have fewer bits, too.

    Source: Ginart et al., Mixed dimension embeddings with application to memory-efficient
    recommendation systems, ISIT 2021, arXiv:1909.11810. That pruned tables end in ranges of widths
    is of this package.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_full: Ids of full width, from 0 on. Then widths fall with the square root of the
            position: the ids up to 16 times as many have a quarter of it, and so on.
        ranges: `(ids, width)` of each range, in place of `num_full`; together all ids.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If the ranges are not those of all ids, or a width is not in
            `[0, output_dim]`.

    Example:
        >>> layer = MixedDimensionEmbedding(100_000, 64, num_full=100)
        >>> layer.ranges
        ((100, 64), (1500, 16), (24000, 4), (74400, 1))
        >>> round(layer.compression_ratio)
        32
    """

    formula = "E_b[i - first_b] P_b, b the range of i"
    source = "arXiv:1909.11810"
    size_argument = "num_full"
    can_grow = False

    def __init__(
        self,
        *args: Any,
        num_full: int | None = None,
        ranges: Sequence[Sequence[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if (num_full is None) == (ranges is None):
            raise invalid(
                "Either `num_full` or `ranges` must be passed.", num_full=num_full, ranges=ranges
            )
        self.num_full = None if num_full is None else int(num_full)
        if ranges is None:
            check_positive(num_full=num_full)  # type: ignore[arg-type]
            ranges = falling_widths(self.input_dim, self.output_dim, int(num_full))  # type: ignore[arg-type]
        numbers = np.asarray(ranges, object)
        whole = all(isinstance(n, int | np.integer) for n in numbers.ravel())
        if numbers.ndim != 2 or numbers.shape[1] != 2 or not whole:
            raise invalid("`ranges` must be pairs of integers, `(ids, width)`.", ranges=ranges)
        self.ranges = tuple((int(rows), int(width)) for rows, width in ranges)
        widths = [width for _, width in self.ranges]
        if not all(0 <= width <= self.output_dim for width in widths) or not any(widths):
            raise invalid(
                f"Widths of `ranges` must be from 0 to {self.output_dim}, and one above 0.",
                ranges=self.ranges,
            )
        for rows, _ in self.ranges:
            check_positive(ranges=rows)
        total = sum(rows for rows, _ in self.ranges)
        if total != self.input_dim:
            raise invalid(
                f"`ranges` must be of {self.input_dim} ids together, the `input_dim`.",
                ranges=self.ranges,
                ids=total,
            )

    @property
    def _firsts(self) -> list[int]:
        return [0, *accumulate(rows for rows, _ in self.ranges)][:-1]

    def tables(self) -> tuple[Table, ...]:
        tables: list[Table] = []
        for index, (rows, width) in enumerate(self.ranges):
            if width == self.output_dim or not width:
                tables.append(Table(f"rows_{index}", rows if width else 1, self.output_dim))
                continue
            factor = partial(Table, terms=width, factors=2)
            # Of narrow rows a scale each would take more than the numbers.
            storage = "int8_per_row" if width > 4 else "int8_per_table"
            tables += [
                factor(f"rows_{index}", rows, width, storage=storage),
                factor(f"projection_{index}", width, self.output_dim),
            ]
        return tuple(tables)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        result = None
        for index, ((rows, width), first) in enumerate(zip(self.ranges, self._firsts, strict=True)):
            # Ids outside read the first or last row, which is not taken.
            inside = xp.minimum(xp.maximum(ids - first, 0), rows - 1 if width else 0)
            vectors = xp.gather(t[f"rows_{index}"], inside)
            if f"projection_{index}" in t:
                vectors = xp.matmul(vectors, t[f"projection_{index}"])
            is_here = (ids >= first)[..., None]
            result = vectors if result is None else xp.where(is_here, vectors, result)
        return result

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        parts = []
        for index, (rows, width) in enumerate(self.ranges):
            of_range = query
            if f"projection_{index}" in t:
                of_range = xp.scores(query, t[f"projection_{index}"])
            scores = xp.scores(of_range, t[f"rows_{index}"])
            parts.append(scores if width else xp.tile(scores, rows))
        return xp.concat(parts)

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The leading directions of each range, and the mean of one of width 0."""
        found: Tables = {}
        for index, ((rows, width), first) in enumerate(zip(self.ranges, self._firsts, strict=True)):
            part, counted = table[first : first + rows], weights[first : first + rows]
            if width == self.output_dim:
                found[f"rows_{index}"] = part
            elif not width:
                of_all = np.zeros(rows, np.int64)
                found[f"rows_{index}"] = closed_forms.means(part, counted, of_all, 1)
            else:
                factors = closed_forms.low_rank(part, counted, width)
                found[f"rows_{index}"], found[f"projection_{index}"] = factors
        return found

    @classmethod
    def within_bytes(
        cls, table: Any, max_bytes: int, *, frequencies: Any = None, **kwargs: Any
    ) -> Any:
        """`from_table` with rows of 8, 4, 2 or no bits, as lose least in a number of bytes.

        `memcom_tf.approximation.allocation.best_precisions` says how they are found.

        Args:
            table: `[input_dim, output_dim]`, trained, important ids first.
            max_bytes: Bytes of the tables in a file, at most.
            frequencies: As of `from_table`.
            **kwargs: Further arguments of the layer.

        Returns:
            The layer, built.

        Raises:
            ValueError: If nothing fits, or as `from_table`.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> table = rng.normal(size=(1000, 16)) / np.arange(1, 1001)[:, None] ** 0.5
            >>> layer = MixedDimensionEmbedding.within_bytes(table, 6000)
            >>> layer.ranges
            ((7, 16), (136, 16), (520, 16), (337, 0))
            >>> {name: stored.partition("_")[0] for name, stored in layer.storage.items()}
            {'rows_0': 'int8', 'rows_1': 'int4', 'rows_2': 'int2'}
        """
        values = np.asarray(table, np.float32)
        weights = np.ones(len(values)) if frequencies is None else np.asarray(frequencies)
        arguments: dict[str, Any] = {"num_full": 1}  # of shapes that do not fit, for its error
        if values.ndim == 2 and weights.shape == (len(values),):
            found = best_precisions(values, weights.astype(np.float32), max_bytes)
            if found is None:
                raise invalid(
                    "`max_bytes` must leave room for some rows of 2 bits.",
                    "Choose a method whose ids share rows for so few bytes.",
                    max_bytes=max_bytes,
                )
            arguments = {
                "ranges": [(ids, values.shape[1] if bits else 0) for ids, bits in found],
                "storage": {
                    f"rows_{index}": f"int{bits}_per_row"
                    for index, (_, bits) in enumerate(found)
                    if bits
                },
            }
        return cls.from_table(table, frequencies=frequencies, **arguments, **kwargs)

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        ranges = [list(part) for part in self.ranges] if self.num_full is None else None
        return {**super().get_config(), "num_full": self.num_full, "ranges": ranges}


def falling_widths(input_dim: int, output_dim: int, num_full: int) -> list[tuple[int, int]]:
    """Ranges whose width falls with the square root of the position."""
    ranges, first, end, width = [], 0, num_full, output_dim
    while end < input_dim and width > 1:
        ranges.append((end - first, width))
        first, end, width = end, _MORE_IDS * end, max(1, width // _NARROWER)
    return [*ranges, (input_dim - first, width)]
