"""A staircase: every id has the first columns of its vector, and the fewer the rarer it is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.approximation import closed_forms
from memcom_tf.approximation.allocation import best_steps
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.ranges.mixed_dimension import falling_widths
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

Steps = tuple[tuple[int, int], ...]
_BISECTIONS = 12


@register_method
class StaircaseEmbedding(CompressedEmbedding):
    """Blocks of columns, each of the first ids alone: `vector(i) = concat_b T_b[min(r(i), n_b)]`.

    Block `b` holds some columns of the ids below `n_b`, and one row more, which all others share.
    So an id has the columns of its own that its place earns, and the mean in the rest. Pruned
    tables of any kind end here: their zeros would save no byte in a file, and shorter rows do. The
    place `r(i)` is the id itself, or, with `ranked`, a number that the file holds for each id, in 2
    bytes up to 32,768 ids, else 4. With `projection` a small matrix `P` follows, `vector(i) P`, so
    that the first columns may be the leading directions of the table.

    Source: blocks of columns for FIITED, arXiv:2401.04408; the shared row is the codebook of
    Shaver, arXiv:2411.13052; widths by frequency, arXiv:1909.11810.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_full: Ids with all columns of their own. Up to 16 times as many have a quarter of the
            columns, up to 256 times a sixteenth, and so on; all have one.
        steps: `(ids, columns)` of each block, in place of `num_full`: ids fall from block to
            block, and the columns are `output_dim` together. A block of 0 ids is shared by all.
        ranked: Whether the file has the place of each id.
        projection: Whether a matrix follows.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If the steps do not fall, or are not of all columns.

    Example:
        >>> layer = StaircaseEmbedding(100_000, 64, num_full=100)
        >>> layer.steps
        ((100000, 1), (25600, 3), (1600, 12), (100, 48))
        >>> round(layer.compression_ratio)
        32
    """

    formula = "concat_b T_b[min(r(i), n_b)] (P)"
    source = "arXiv:2401.04408"
    size_argument = "num_full"
    can_grow = False
    variants = ({}, {"ranked": True, "projection": True})

    def __init__(
        self,
        *args: Any,
        num_full: int | None = None,
        steps: Sequence[Sequence[int]] | None = None,
        ranked: bool = False,
        projection: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.num_full = None if num_full is None else int(num_full)
        self.steps = checked_steps(self.input_dim, self.output_dim, num_full, steps)
        self.ranked, self.projection = bool(ranked), bool(projection)

    @property
    def _columns(self) -> list[slice]:
        ends = list(accumulate(width for _, width in self.steps))
        return [slice(end - width, end) for (_, width), end in zip(self.steps, ends, strict=True)]

    def _rows(self, ids: int) -> int:
        """Rows of a block: those of its ids, and the one that the others share."""
        return ids + (ids < self.input_dim)

    def tables(self) -> tuple[Table, ...]:
        tables = [
            # Of narrow rows a scale each would take more than the numbers.
            Table(
                f"block_{block}",
                self._rows(ids),
                width,
                storage="int8_per_row" if width > 4 else "int8_per_table",
            )
            for block, (ids, width) in enumerate(self.steps)
        ]
        if self.projection:
            tables.append(
                Table("projection", self.output_dim, self.output_dim, initializer=_unit_matrix)
            )
        if self.ranked:
            tables.insert(0, table_of_ranks(self.input_dim))
        return tuple(tables)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        places = xp.gather(t["rank"], ids)[..., 0] if self.ranked else ids
        vectors = xp.concat(
            [
                xp.gather(t[f"block_{block}"], xp.minimum(places, self._rows(count) - 1))
                for block, (count, _) in enumerate(self.steps)
            ]
        )
        return xp.matmul(vectors, t["projection"]) if self.projection else vectors

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        if self.projection:
            query = xp.scores(query, t["projection"])
        parts = []
        for block, ((ids, _), columns) in enumerate(zip(self.steps, self._columns, strict=True)):
            scores = xp.scores(query[:, columns], t[f"block_{block}"])
            if ids < self.input_dim:
                shared = xp.tile(scores[:, ids:], self.input_dim - ids)
                scores = xp.concat([scores[:, :ids], shared]) if ids else shared
            parts.append(scores)
        scores = sum(parts[1:], start=parts[0])
        return xp.gather_columns(scores, xp.column(t["rank"], 0)) if self.ranked else scores

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The columns as they are, or the leading directions, and the mean in what is shared."""
        found: Tables = {}
        if self.projection:
            factors = closed_forms.low_rank(table, weights, self.output_dim)
            table, found["projection"] = factors
        if self.ranked:
            order = by_energy(table, weights)
            found["rank"] = ranks_of(order)
            table, weights = table[order], weights[order]
        return {**found, **self.blocks_of(table, weights)}

    def blocks_of(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The blocks for vectors in the order of their places."""
        found: Tables = {}
        for block, ((ids, _), columns) in enumerate(zip(self.steps, self._columns, strict=True)):
            rows = table[:ids, columns]
            if ids < self.input_dim:
                others = np.zeros(self.input_dim - ids, np.int64)
                shared = closed_forms.means(table[ids:, columns], weights[ids:], others, 1)
                rows = np.concatenate([rows, shared])
            found[f"block_{block}"] = rows
        return found

    @classmethod
    def within_bytes(
        cls,
        table: Any,
        max_bytes: int,
        *,
        frequencies: Any = None,
        ranked: bool = False,
        projection: bool = False,
        **kwargs: Any,
    ) -> Any:
        """`from_table` with the steps that lose least in a number of bytes.

        `memcom_tf.approximation.allocation.best_steps` says how they are found.

        Args:
            table: `[input_dim, output_dim]`, trained.
            max_bytes: Bytes of the tables in a file, at most.
            frequencies: As of `from_table`.
            ranked: As of the layer.
            projection: As of the layer.
            **kwargs: Further arguments of the layer.

        Returns:
            The layer, built.

        Raises:
            ValueError: If nothing fits, or as `from_table`.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> table = rng.normal(size=(1000, 8)) / np.arange(1, 1001)[:, None] ** 0.5
            >>> layer = StaircaseEmbedding.within_bytes(table, 3000)
            >>> layer.steps, sum(part.stored_bytes for part in layer.stored_tables())
            (((321, 1), (242, 7)), 2995)
        """
        values = np.asarray(table, np.float32)
        weights: Any = np.ones(len(values)) if frequencies is None else np.asarray(frequencies)
        arguments: dict[str, Any] = {"ranked": ranked, "projection": projection}
        steps: Steps | None = ((1, 1),)  # of shapes that do not fit, for the error of `from_table`
        if values.ndim == 2 and weights.shape == (len(values),):
            weights = weights.astype(np.float32)
            if ranked:
                order = by_energy(values, weights)
                values, weights = values[order], weights[order]

            def stored(steps: Steps) -> int:
                layer = cls(*values.shape, steps=steps, **arguments, **kwargs)
                return sum(part.stored_bytes for part in layer.stored_tables())

            # Scales, ranks and the projection take bytes as well, which depend on the steps.
            steps, low, high = None, 0.0, float(max_bytes)
            for _ in range(_BISECTIONS):
                middle = (low + high) / 2
                tried = best_steps(values, weights, middle, projection=projection)
                if tried is None or stored(tried) <= max_bytes:
                    steps, low = tried or steps, middle
                else:
                    high = middle
            if steps is None:
                raise invalid(
                    "`max_bytes` must leave room for some columns.",
                    "Choose a method whose ids share rows for so few bytes.",
                    max_bytes=max_bytes,
                )
        made: Any = cls.from_table(
            table, frequencies=frequencies, steps=steps, **arguments, **kwargs
        )
        return made

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        steps = [list(step) for step in self.steps] if self.num_full is None else None
        return {
            **super().get_config(),
            "num_full": self.num_full,
            "steps": steps,
            "ranked": self.ranked,
            "projection": self.projection,
        }


def checked_steps(
    input_dim: int,
    output_dim: int,
    num_full: int | None,
    steps: Sequence[Sequence[int]] | None,
) -> Steps:
    """The steps that are given, or those of `num_full`.

    Raises:
        ValueError: If they do not fall, or are not of all columns.
    """
    if (num_full is None) == (steps is None):
        raise invalid(
            "Either `num_full` or `steps` must be passed.", num_full=num_full, steps=steps
        )
    if steps is None:
        check_positive(num_full=num_full)  # type: ignore[arg-type]
        return _steps_of(input_dim, output_dim, int(num_full))  # type: ignore[arg-type]
    numbers = np.asarray(steps, object)
    whole = all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers.ravel()
    )
    if numbers.ndim != 2 or numbers.shape[1] != 2 or not whole:
        raise invalid("`steps` must be pairs of integers, `(ids, columns)`.", steps=steps)
    found = tuple((int(ids), int(width)) for ids, width in steps)
    ids, widths = [step[0] for step in found], [step[1] for step in found]
    if min(widths) < 1 or sum(widths) != output_dim:
        raise invalid(
            f"The columns of `steps` must be {output_dim} together, the `output_dim`, and one at "
            "least in each.",
            steps=found,
        )
    if ids[0] > input_dim or ids[-1] < 0 or any(np.diff(ids) >= 0):
        raise invalid(
            f"The ids of `steps` must fall, from {input_dim} at most, to 0 at least.", steps=found
        )
    return found


def _steps_of(input_dim: int, output_dim: int, num_full: int) -> Steps:
    """The steps of ranges whose width falls with the square root of the position."""
    ranges = falling_widths(input_dim, output_dim, min(num_full, input_dim))
    ends = list(accumulate(ids for ids, _ in ranges))
    widths = [width for _, width in ranges]
    columns = [wider - narrower for wider, narrower in zip(widths, [*widths[1:], 0], strict=True)]
    return tuple((end, width) for end, width in zip(ends[::-1], columns[::-1], strict=True))


def _unit_matrix(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return tf.eye(*shape, dtype=dtype)


def table_of_ranks(input_dim: int) -> Table:
    """The place of each id, at first the id itself."""

    def as_they_are(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.constant(np.arange(input_dim)[:, None], dtype)

    return Table.of_index("rank", input_dim, 1, num_values=input_dim, initializer=as_they_are)


def by_energy(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ids by how much is lost where they have the mean in place of their row, most first."""
    mean = closed_forms.means(table, weights, np.zeros(len(table), np.int64), 1)
    return np.argsort(-weights * ((table - mean) ** 2).sum(axis=1), kind="stable")


def ranks_of(order: np.ndarray) -> np.ndarray:
    """`[n, 1]` the place of each id in an order of ids."""
    ranks = np.empty((len(order), 1), np.int64)
    ranks[order, 0] = np.arange(len(order))
    return ranks
