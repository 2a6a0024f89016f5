"""CAFE: ids that matter now have rows of their own, earned and lost while training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import Adaptation, TrainingLookup
from memcom_tf.layers.hashing.hashed import HashedEmbedding
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

IMPORTANCE = ("gradient", "frequency")
_KEEP = 1.1
"""A row changes hands where another id is so many times as important: else ids would take turns."""


class HotFirst(NamedTuple):
    """A trained layer under other ids, the important ones first.

    Attributes:
        ids: `[input_dim]` the new id of each old one.
        layer: What looks the same vectors up by the new ids, built. It has `input_dim` ids or a
            few more: in between are some that no old one has.
    """

    ids: np.ndarray
    layer: HashedEmbedding


@register_method
class CAFEEmbedding(CompressedEmbedding):
    """Adaptive rows: `vector(i) = H[s(i)]` where the id has a row of its own, else `T[i mod m]`.

    Training counts the importance of ids: the norms of the gradients of their vectors, or how
    often they are looked up. Every `adapts_every` steps the `num_dedicated` most important ids have
    the rows of `H`. An id that earns one begins with the vector that it had, and with the state
    of the optimizer; one that loses its row falls back to `T`. Counts are then multiplied by
    `decay`, so that a stream that drifts is followed. `fit` needs the callback
    `memcom_tf.training.AdaptTables`, which the trainers of this package pass themselves.

    A file holds 2 bytes for each id, its row, or 4 above 32,768 rows. `hot_first` gives the same
    vectors under ids that need none.

    Source: Zhang et al., CAFE: towards compact, adaptive, and fast embedding for large-scale
    recommendation models, SIGMOD 2024, arXiv:2312.03256. Its sketch finds important ids in little
    memory, where this layer counts each id exactly, in 4 bytes an id while training.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows that ids share, `m`.
        num_dedicated: Rows of single ids; None takes as many as are shared.
        importance: "gradient" or "frequency".
        adapts_every: Steps of training between two changes.
        decay: What is left of a count after a change, in [0, 1].
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range or a name unknown.

    Example:
        >>> layer = CAFEEmbedding(100_000, 16, num_buckets=500)
        >>> layer.num_parameters == (500 + 500) * 16
        True
    """

    formula = "H[s(i)], or T[i mod m]"
    source = "arXiv:2312.03256"
    size_argument = "num_buckets"
    can_grow = False
    reads_rows_of_ids = True

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_dedicated: int | None = None,
        importance: str = "gradient",
        adapts_every: int = 100,
        decay: float = 0.98,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if num_dedicated is None:
            num_dedicated = num_buckets
        check_positive(
            num_buckets=num_buckets, num_dedicated=num_dedicated, adapts_every=adapts_every
        )
        if num_buckets > self.input_dim or num_dedicated > self.input_dim:
            raise invalid(
                "`num_buckets` and `num_dedicated` must be at most `input_dim`.",
                num_buckets=num_buckets,
                num_dedicated=num_dedicated,
                input_dim=self.input_dim,
            )
        if importance not in IMPORTANCE or not 0 <= decay <= 1:
            raise invalid(
                f"`importance` must be one of {IMPORTANCE}, and `decay` in [0, 1].",
                importance=importance,
                decay=decay,
            )
        self.num_buckets, self.num_dedicated = int(num_buckets), int(num_dedicated)
        self.importance, self.decay = importance, float(decay)
        self.adapts_every = int(adapts_every)

    def tables(self) -> tuple[Table, ...]:
        count = self.num_dedicated + self.num_buckets
        row_of = Table.of_index(
            "row_of", self.input_dim, 1, num_values=count, initializer=self._initial_rows
        )
        return (
            row_of,
            Table("rows", count, self.output_dim),
            Table.of_statistics("importance", self.input_dim, 1),
        )

    def _initial_rows(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.constant(self._shared_rows[:, None], dtype)

    @property
    def _shared_rows(self) -> np.ndarray:
        """The row that each id shares, behind those of single ids."""
        return self.num_dedicated + np.arange(self.input_dim) % self.num_buckets

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return xp.gather(t["rows"], xp.gather(t["row_of"], ids)[..., 0])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        rows = xp.column(t["row_of"], 0)
        return xp.gather_columns(xp.scores(query, t["rows"]), rows)

    def train_lookup(self, xp: Ops, ids: Array, t: Tables) -> TrainingLookup:
        vectors = self.lookup(xp, ids, t)
        if self.importance == "frequency":
            return TrainingLookup(vectors, counts={"importance": (ids, 1.0)})
        return TrainingLookup(vectors, norms={"importance": ids})

    def adapt(self, step: int, t: dict[str, np.ndarray]) -> Adaptation:
        row_of, importance = t["row_of"][:, 0].copy(), t["importance"][:, 0]
        was_hot = row_of < self.num_dedicated
        judged = np.where(was_hot, _KEEP * importance, importance)
        hot = np.argsort(-judged, kind="stable")[: self.num_dedicated]
        hot = hot[judged[hot] > 0]
        stays = np.zeros(self.input_dim, bool)
        stays[hot] = True
        leaving, entering = np.flatnonzero(was_hot & ~stays), hot[~was_hot[hot]]
        shared = self._shared_rows
        row_of[leaving] = shared[leaving]
        free = np.setdiff1d(np.arange(self.num_dedicated), row_of)[: len(entering)]
        row_of[entering] = free
        rows_from = np.arange(len(t["rows"]))
        rows_from[free] = shared[entering]
        tables = {
            "row_of": row_of[:, None],
            "rows": t["rows"][rows_from],
            "importance": t["importance"] * np.float32(self.decay),
        }
        return Adaptation(tables, rows_from={"rows": rows_from})

    def hot_first(self) -> HotFirst:
        """The same vectors under ids that tell by themselves which row they read.

        Ids with a row of their own come first. The others are in turns of the `m` rows that they
        share; where fewer ids share a row than another, ids in between are left free.

        Example:
            >>> layer = CAFEEmbedding(1000, 4, num_buckets=10)
            >>> layer.build(None)
            >>> ids, other = layer.hot_first()
            >>> np.array_equal(other(ids), layer(np.arange(1000)))
            True
        """
        t = self.table_values()
        row_of = t["row_of"][:, 0]
        ids = np.empty(self.input_dim, np.int64)
        hot = np.flatnonzero(row_of < self.num_dedicated)
        order = hot[np.argsort(-t["importance"][hot, 0], kind="stable")]
        ids[order] = np.arange(len(order))
        others = np.flatnonzero(row_of >= self.num_dedicated)
        bucket = row_of[others] - self.num_dedicated
        in_order = np.argsort(bucket, kind="stable")
        first = np.searchsorted(bucket[in_order], np.arange(self.num_buckets))
        turn = np.empty(len(others), np.int64)
        turn[in_order] = np.arange(len(others)) - first[bucket[in_order]]
        ids[others] = len(order) + turn * self.num_buckets + bucket
        config = {
            name: value
            for name, value in self.get_config().items()
            if name not in ("num_dedicated", "importance", "adapts_every", "decay")
        }
        input_dim = max(int(ids.max()) + 1, len(order) + self.num_buckets)
        layer = HashedEmbedding.from_config(
            {**config, "input_dim": input_dim, "num_dedicated": len(order)}
        )
        layer.build(None)
        rows = np.concatenate([t["rows"][row_of[order]], t["rows"][self.num_dedicated :]])
        layer.assign_tables({"hashed": rows})
        return HotFirst(ids, layer)

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_dedicated": self.num_dedicated,
            "importance": self.importance,
            "adapts_every": self.adapts_every,
            "decay": self.decay,
        }
