"""Pruning while training: rows that matter less lose columns, and ship without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import Adaptation, TrainingLookup
from memcom_tf.layers.ranges.staircase import (
    StaircaseEmbedding,
    by_energy,
    checked_steps,
    ranks_of,
    table_of_ranks,
)
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.tables import Table, Tables, check_positive

CRITERIA = ("magnitude", "frequency", "gradient", "utility", "threshold", "gates")
_MOST_IDS = 2**24
_MOST_GROUPS = 12
"""Of ids, for gates: the smallest two have 1 in 2,048 of them."""
_NO_THRESHOLD = -12.0
"""Its sigmoid, 6e-6, is far below the numbers of a row."""


@register_method
class PrunedEmbedding(CompressedEmbedding):
    """A table that is pruned while it trains: `vector(i) = where(r(i) < n_b, E[i], f)` by block.

    Training begins with all columns of all ids. Every `adapts_every` steps ids are ranked anew
    by a criterion, and the blocks of columns reach fewer of them, until after `rounds` times block
    `b` reaches the first `n_b` ids. What an id has lost is a row `f` that all share. An id that
    rises in rank has its columns again, as they were. It ships as `StaircaseEmbedding` with ranks.
    `fit` needs the callback `memcom_tf.training.AdaptTables`, which the trainers of this package
    pass themselves.

    Which papers the criteria are of, each in the form whose bytes a file saves:

    - "magnitude", the length of the row beside `f`: DeepLight, Deng et al., WSDM 2021,
      arXiv:2002.06987, with the schedule by cubes of Zhu and Gupta, arXiv:1710.01878.
    - "threshold", the length of what a learned threshold leaves, `sign(w) relu(|w| - g(s_i))` with
      `g` the sigmoid: PEP, Liu et al., ICLR 2021, arXiv:2101.07577. What it leaves is the vector.
    - "gates", the length of the gates of the id's group, by which its numbers are multiplied, one
      for each column. Groups are ranges of ids, each twice as large as the one before, so that ids
      in the order of frequency make groups of like frequency: AutoSrh, Kong et al., AutoSrh: an
      embedding dimensionality search framework for tabular data prediction, TKDE 2023. There the
      gates learn from rows held out; here from the rows of training.
    - "gradient", the norm of the gradients of the vectors, "frequency", how often the id is looked
      up, and "utility", the product of both: FIITED, Luo et al., arXiv:2401.04408.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_full: Ids with all columns, as in `StaircaseEmbedding`.
        steps: `(ids, columns)` of each block, in place of `num_full`.
        criterion: What ids are ranked by.
        adapts_every: Steps of training between two rankings.
        rounds: Rankings until the blocks are as short as they ship.
        decay: What is left of counts after a ranking, in [0, 1].
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, or the criterion unknown.

    Example:
        >>> layer = PrunedEmbedding(100_000, 64, num_full=100, criterion="gradient")
        >>> layer.ships_as().steps
        ((100000, 1), (25600, 3), (1600, 12), (100, 48))
    """

    formula = "where(r(i) < n_b, E[i], f) by block"
    source = "arXiv:2002.06987"
    size_argument = "num_full"
    can_grow = False
    reads_rows_of_ids = True
    variants = ({}, {"criterion": "threshold"}, {"criterion": "utility"}, {"criterion": "gates"})

    def __init__(
        self,
        *args: Any,
        num_full: int | None = None,
        steps: Sequence[Sequence[int]] | None = None,
        criterion: str = "magnitude",
        adapts_every: int = 100,
        rounds: int = 10,
        decay: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.input_dim > _MOST_IDS:
            raise invalid(
                f"`input_dim` must be at most {_MOST_IDS}: ranks are put in order as float32.",
                "Use StaircaseEmbedding, whose ids are their ranks.",
                input_dim=self.input_dim,
            )
        self.num_full = None if num_full is None else int(num_full)
        self.steps = checked_steps(self.input_dim, self.output_dim, num_full, steps)
        check_positive(adapts_every=adapts_every, rounds=rounds)
        if criterion not in CRITERIA or not 0 <= decay <= 1:
            raise invalid(
                f"`criterion` must be one of {CRITERIA}, and `decay` in [0, 1].",
                criterion=criterion,
                decay=decay,
            )
        self.criterion, self.decay = criterion, float(decay)
        self.adapts_every, self.rounds = int(adapts_every), int(rounds)

    @property
    def _counts(self) -> bool:
        return self.criterion in ("frequency", "gradient", "utility")

    def ships_as(self) -> StaircaseEmbedding:
        config = self.get_config()
        for name in ("criterion", "adapts_every", "rounds", "decay"):
            del config[name]
        return StaircaseEmbedding.from_config({**config, "ranked": True})

    def tables(self) -> tuple[Table, ...]:
        tables = [
            table_of_ranks(self.input_dim),
            Table("embeddings", self.input_dim, self.output_dim),
            Table("fill", 1, self.output_dim),
            Table.of_statistics("reach", len(self.steps), 1, initializer=self._everyone),
        ]
        if self.criterion == "threshold":
            tables.append(Table("threshold", self.input_dim, 1, initializer=_no_threshold))
        if self.criterion == "gates":
            count = len(self._ends_of_groups) + 1
            tables.append(Table("gates", count, self.output_dim, initializer="ones"))
        tables += [
            Table.of_statistics(name, self.input_dim, 1)
            for name, used in (
                ("uses", self.criterion in ("frequency", "utility")),
                ("gradients", self.criterion in ("gradient", "utility")),
            )
            if used
        ]
        return tuple(tables)

    def _everyone(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.fill([len(self.steps), 1], tf.constant(self.input_dim, dtype))

    @property
    def _ends_of_groups(self) -> list[int]:
        """Where groups of ids end, but for the last one."""
        ends = (self.input_dim >> halved for halved in range(1, _MOST_GROUPS))
        return [end for end in ends if end > 0]

    def _groups_of(self, xp: Ops, ids: Array) -> Array:
        """The group of each id, 0 for the largest one, of the last ids."""
        groups = ids * 0
        for end in self._ends_of_groups:
            groups = groups + xp.where(ids < end, ids * 0 + 1, 0)
        return groups

    def _rows(self, xp: Ops, ids: Array, t: Tables) -> Array:
        rows = xp.gather(t["embeddings"], ids)
        if self.criterion == "gates":
            return rows * xp.gather(t["gates"], self._groups_of(xp, ids))
        if self.criterion != "threshold":
            return rows
        threshold = xp.sigmoid(xp.gather(t["threshold"], ids))
        return xp.relu(rows - threshold) - xp.relu(-rows - threshold)

    def _pruned(self, xp: Ops, ids: Array, t: Tables, reach: Sequence[Any]) -> Array:
        """The vectors of ids, where block `b` reaches ranks below `reach[b]`."""
        rows, ranks = self._rows(xp, ids, t), xp.gather(t["rank"], ids)
        fill = xp.gather(t["fill"], ids * 0)
        parts, first = [], 0
        for (_, width), below in zip(self.steps, reach, strict=True):
            columns = slice(first, first + width)
            parts.append(xp.where(ranks < below, rows[..., columns], fill[..., columns]))
            first += width
        return xp.concat(parts)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return self._pruned(xp, ids, t, [count for count, _ in self.steps])

    def train_lookup(self, xp: Ops, ids: Array, t: Tables) -> TrainingLookup:
        reach = tf.unstack(tf.cast(xp.values(t["reach"])[:, 0], tf.int32), num=len(self.steps))
        return TrainingLookup(
            self._pruned(xp, ids, t, reach),
            counts={"uses": (ids, 1.0)} if "uses" in t else {},
            norms={"gradients": ids} if "gradients" in t else {},
        )

    def adapt(self, step: int, t: dict[str, np.ndarray]) -> Adaptation:
        importance = self._importance(t)
        # Of equals the one that is before stays before.
        order = np.lexsort((t["rank"][:, 0], -importance))
        tables: Tables = {"rank": ranks_of(order), "reach": self._reach(step)}
        for name in ("uses", "gradients"):
            if name in t:
                tables[name] = t[name] * np.float32(self.decay)
        return Adaptation(tables)

    def _importance(self, t: dict[str, np.ndarray]) -> np.ndarray:
        if self._counts:
            counts = [t[name][:, 0] for name in ("uses", "gradients") if name in t]
            return np.asarray(np.prod(counts, axis=0))
        if self.criterion == "gates":
            groups = self._groups_of(NumpyOps(), np.arange(self.input_dim))
            return np.asarray(np.linalg.norm(t["gates"], axis=1)[groups])
        rows = t["embeddings"]
        if self.criterion == "threshold":
            left = np.abs(rows) - 1 / (1 + np.exp(-t["threshold"]))
            return np.linalg.norm(np.maximum(left, 0), axis=1)
        return np.linalg.norm(rows - t["fill"], axis=1)

    def _reach(self, step: int) -> np.ndarray:
        """`[blocks, 1]`: how many ids each block reaches after so many steps."""
        progress = min(1.0, step / (self.adapts_every * self.rounds))
        left = (1 - progress) ** 3
        ends = np.array([count for count, _ in self.steps], np.float64)
        return np.ceil(ends + (self.input_dim - ends) * left)[:, None].astype(np.float32)

    def fold(self, xp: Ops, t: Tables) -> Tables:
        """The columns that each block reaches, by rank, and `f` behind them."""
        order = xp.top_k(-xp.to_float(xp.column(t["rank"], 0)), self.input_dim)
        folded: Tables = {"rank": t["rank"]}
        first = 0
        for block, (count, width) in enumerate(self.steps):
            columns = slice(first, first + width)
            # The place of each row of the block, and behind them one that no block reaches.
            rows = min(count + 1, self.input_dim)
            own, shared = self._rows(xp, order[:rows], t), xp.gather(t["fill"], order[:rows] * 0)
            reached = (xp.arange(rows) < count)[..., None]
            folded[f"block_{block}"] = xp.where(reached, own, shared)[:, columns]
            first += width
        return folded

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """The table, ranked by what each row would lose, and the mean as what is shared."""
        order = by_energy(table, weights)
        blocks = self.ships_as().blocks_of(table[order], weights[order])
        fill = [
            blocks[f"block_{block}"][count:]
            if count < self.input_dim
            else np.zeros((1, width), np.float32)
            for block, (count, width) in enumerate(self.steps)
        ]
        found: Tables = {
            "rank": ranks_of(order),
            "embeddings": table,
            "fill": np.concatenate(fill, axis=1),
            "reach": np.full((len(self.steps), 1), self.input_dim),
        }
        if self.criterion == "threshold":
            found["threshold"] = np.full((self.input_dim, 1), _NO_THRESHOLD)
        if self.criterion == "gates":
            found["gates"] = np.ones((len(self._ends_of_groups) + 1, self.output_dim))
        counts = [table.name for table in self.tables() if table.name not in found]
        return {**found, **dict.fromkeys(counts, np.zeros((self.input_dim, 1)))}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        steps = [list(step) for step in self.steps] if self.num_full is None else None
        return {
            **super().get_config(),
            "num_full": self.num_full,
            "steps": steps,
            "criterion": self.criterion,
            "adapts_every": self.adapts_every,
            "rounds": self.rounds,
            "decay": self.decay,
        }


def _no_threshold(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return tf.fill(shape, tf.constant(_NO_THRESHOLD, dtype))
