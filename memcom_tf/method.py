"""What a method of compression declares, in one file of `memcom_tf/layers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables

_BLOCK = 1 << 16
"""Of vectors that exist at a time: 16 MB where they are 64 wide."""


class Method:
    """The declarations, with the defaults of a method that leaves them out.

    `lookup`, `lookup_scores`, `fold` and `approximate` are pure functions of named tables.
    """

    input_dim: int
    formula: ClassVar[str]
    source: ClassVar[str]
    variants: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """Settings under which the method is tested and compared."""
    shares_by_remainder: bool = False
    """Whether ids of equal `id % num_buckets` share a row, so that their similarity matters."""
    takes_metric: ClassVar[bool] = False
    """Whether `approximate` takes a `metric` that errors are measured in."""
    reads_rows_of_ids: ClassVar[bool] = False
    """Whether `lookup` reads a table that has a row for each id, by the id itself.

    A runtime then refuses ids outside by itself; files of other methods compute whether they are.
    """
    can_grow: ClassVar[bool] = True
    """Whether ids look up the same under a larger `input_dim`; not where it chooses the hashes."""
    size_argument: ClassVar[str | None] = None
    """The argument by which `for_ratio` chooses the size."""

    def tables(self) -> tuple[Table, ...]:
        """The stored tables."""
        raise NotImplementedError

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """Vectors `ids.shape + [output_dim]` of ids, from the named tables `t`."""
        raise NotImplementedError

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        """Scores `[b, input_dim]` of queries `[b, output_dim]` against every vector.

        The default looks all vectors up, in blocks. A method that knows better says so.
        """
        parts = []
        for first in range(0, self.input_dim, _BLOCK):
            ids = xp.arange(min(_BLOCK, self.input_dim - first)) + first
            parts.append(xp.scores(query, self.lookup(xp, ids, t)))
        return xp.concat(parts)

    def lookup_top_k(self, xp: Ops, query: Array, k: int, t: Tables) -> Array | None:
        """The `k` best ids `[k]` of one query `[1, output_dim]`, without scoring all of them.

        None, the default, where that takes all scores.
        """
        return None

    def ships_as(self) -> Any:
        """The layer that is exported in place of this one; itself unless a method folds."""
        return self

    def fold(self, xp: Ops, t: Tables) -> Tables:
        """Turns trained tables into those of `ships_as()`."""
        return t

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables | None:
        """The tables whose vectors come nearest to a table `[input_dim, output_dim]`.

        Nearest is the least sum of the squared distances of the rows, weighted by `weights`
        `[input_dim]`. A method that `takes_metric` has it as a third argument, which may be None.
        None, the default, where the method has no way to them but training.
        """
        return None

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        """Values of `size_argument` from the smallest to the largest model, sizes rising."""
        return range(1, input_dim + 1)
