"""What a method of compression declares, in one file of `memcom_tf/layers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.sketch import Sketch
from memcom_tf.tables import RowSharing, Table, Tables

_BLOCK = 1 << 16
"""Of vectors that exist at a time: 16 MB where they are 64 wide."""


@dataclass(frozen=True)
class TrainingLookup:
    """What a lookup in training gives.

    Attributes:
        vectors: `ids.shape + [output_dim]`.
        loss: A scalar that is added to the loss of the step, or None.
        counts: What is added to tables of statistics, by name: rows of them, of any shape, and a
            number, or numbers of shape `rows.shape + [width]`.
        norms: Rows of tables of statistics, by name, `ids.shape`. The norm of the gradient of each
            vector, over the mean of the step, is added to its row: how much an id matters now.

    In place of a name `counts` and `norms` may have a `memcom_tf.ops.sketch.Sketch`, and ids in
    place of rows: they are inserted into the sketch with the numbers as their values.
    """

    vectors: Array
    loss: Array | None = None
    counts: Mapping[str | Sketch, tuple[Array, Array | float]] = field(default_factory=dict)
    norms: Mapping[str | Sketch, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Adaptation:
    """How tables change between two steps of training.

    Attributes:
        tables: The new values of those that change, by name.
        rows_from: Where rows of a trained table have moved, by its name: for each of its rows the
            one whose state in the optimizer it takes over, -1 for a row that starts anew.
    """

    tables: Tables
    rows_from: Mapping[str, np.ndarray] = field(default_factory=dict)


class Method:
    """The declarations, with the defaults of a method that leaves them out.

    `lookup`, `lookup_scores`, `fold` and `approximate` are pure functions of named tables.
    """

    input_dim: int
    formula: ClassVar[str]
    source: ClassVar[str]
    variants: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """Settings under which the method is tested and compared."""
    sharing: RowSharing | None = None
    """How ids share rows by `id % num_buckets`, where they do, so that their similarity matters."""
    renamed_arguments: ClassVar[Mapping[str, str]] = {}
    """Names that arguments have had, and those that they have: saved models use the first."""
    takes_metric: ClassVar[bool] = False
    """Whether `approximate` takes a `metric` that errors are measured in."""
    reads_rows_of_ids: bool = False
    """Whether `lookup` reads a table that has a row for each id, by the id itself.

    A runtime then refuses ids outside by itself; files of other methods compute whether they are.
    """
    trains_under_xla: bool = True
    """Whether XLA may compile a step of training."""
    can_grow: ClassVar[bool] = True
    """Whether ids look up the same under a larger `input_dim`; not where it chooses the hashes."""
    size_argument: ClassVar[str | None] = None
    """The argument by which `for_ratio` chooses the size."""
    adapts_every: int = 0
    """Steps of training between two calls of `adapt`; 0 for never."""

    def tables(self) -> tuple[Table, ...]:
        """The stored tables."""
        raise NotImplementedError

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """Vectors `ids.shape + [output_dim]` of ids, from the named tables `t`."""
        raise NotImplementedError

    def lookup_many(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """The vectors of `lookup`, computed in a way that is faster where ids are many.

        Plain TensorFlow ops run it, in training and in batches, where a method has it; a file has
        `lookup`, and so has the default. Sums may be in another order.
        """
        return self.lookup(xp, ids, t)

    def train_lookup(self, xp: Ops, ids: Array, t: Tables) -> TrainingLookup:
        """What training computes where it is not `lookup`: straight-through codes, gates, counts.

        Plain TensorFlow ops run it, and `t` has the tables for training alone, too. A method that
        leaves it out trains by its `lookup`, fused where that can be.
        """
        return TrainingLookup(self.lookup(xp, ids, t))

    def adapt(self, step: int, t: dict[str, np.ndarray]) -> Adaptation | None:
        """How tables change after a step of training: ids change rows, rows are pruned.

        It is called every `adapts_every` steps, by `memcom_tf.training.AdaptTables`. All numbers
        that are drawn should follow from `step`, so that a resumed training does the same.

        Args:
            step: Steps that were trained.
            t: All tables, of training too.

        Returns:
            The changes; None, the default, where there are none.
        """
        return None

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
