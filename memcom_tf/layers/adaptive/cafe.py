"""CAFE: ids that matter now have rows of their own, earned and lost while training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.kernels import sketches
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.layers.contract.method import Adaptation, TrainingLookup
from memcom_tf.layers.hashing.hashed import HashedEmbedding
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.ops.sketch import CELLS, Sketch
from memcom_tf.tables import Table, Tables, check_positive

IMPORTANCE = ("gradient", "frequency")
_FOR_TRAINING = frozenset({
    "num_dedicated", "importance", "adapts_every", "decay", "sketch_buckets", "num_warm",
    "warm_buckets",
})  # fmt: skip
_KEEP = 1.1
"""A row changes hands where another id is so many times as important: else ids would take turns."""


_MOST_ROWS = CELLS - 1
"""Of a bucket so many cells have rows: one is left for ids that come."""


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

    Each id is counted exactly, in 4 bytes, and a file holds its row, in 2 bytes, or in 4 above
    32,768 rows. With `sketch_buckets = b` neither training nor the file has a table with a row for
    each id: ids are counted in a sketch of `4 b` cells, which loses the less important ones
    (`memcom_tf.ops.sketch.Sketch`), and a lookup finds the row by comparing the id with those of
    the 4 cells of its bucket. A cell takes 16 bytes while training, and in a file 4 for the id and
    2 for its row, or 4: the file is smaller with a sketch where `input_dim` is above `12 b`, and
    slower to score all ids by. As many buckets as `num_dedicated`, as the paper has, find nearly
    the same ids where they are hundreds; fewer rows need four buckets each, and a few rows some
    tens of buckets. `hot_first` gives the same vectors under ids that need none of all this.

    With `num_warm` the ids that come next read two shared rows: `T[i mod m] + W[h(i)]`, a sum that
    fewer ids share than either row. A file marks them by the rows that it holds anyway. An id
    that becomes warm, or no longer is, changes its vector at once by `W[h(i)]`.

    Source: Zhang et al., CAFE: towards compact, adaptive, and fast embedding for large-scale
    recommendation models, SIGMOD 2024, arXiv:2312.03256. Of the 4 cells of a bucket 3 at most have
    rows here, so that one is always left for ids that come, and ids are judged by what was counted
    for sure, without the score that they inherited.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Rows that ids share, `m`.
        num_dedicated: Rows of single ids; None takes as many as are shared.
        importance: "gradient" or "frequency".
        adapts_every: Steps of training between two changes.
        decay: What is left of a count after a change, in [0, 1].
        sketch_buckets: Buckets of the sketch, of 4 cells each; None counts each id exactly.
        num_warm: Ids that read a second row that they share, those behind the dedicated ones.
        warm_buckets: Rows of `W`; None takes `num_buckets` of them where there are warm ids.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range or a name unknown.

    Example:
        >>> layer = CAFEEmbedding(100_000, 16, num_buckets=500)
        >>> layer.num_parameters == (500 + 500) * 16
        True
        >>> layer = CAFEEmbedding(100_000, 16, num_buckets=500, sketch_buckets=500)
        >>> {table.name: (table.rows, table.width) for table in layer.tables()}["cell_ids"]
        (500, 4)
    """

    formula = "H[s(i)], or T[i mod m]"
    source = "arXiv:2312.03256"
    variants = (
        {},
        {"sketch_buckets": 40, "num_dedicated": 12},
        {"num_dedicated": 1, "num_warm": 200},
        {"sketch_buckets": 40, "num_dedicated": 1, "num_warm": 100, "warm_buckets": 7},
    )
    size_argument = "num_buckets"
    can_grow = False

    def __init__(
        self,
        *args: Any,
        num_buckets: int,
        num_dedicated: int | None = None,
        importance: str = "gradient",
        adapts_every: int = 100,
        decay: float = 0.98,
        sketch_buckets: int | None = None,
        num_warm: int = 0,
        warm_buckets: int | None = None,
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
        if num_warm:
            check_positive(num_warm=num_warm)
            warm_buckets = num_buckets if warm_buckets is None else warm_buckets
            check_positive(warm_buckets=warm_buckets)
        elif warm_buckets is not None:
            raise invalid(
                "`warm_buckets` is for `num_warm` ids.", num_warm=0, warm_buckets=warm_buckets
            )
        self.num_warm = int(num_warm)
        self.warm_buckets = None if warm_buckets is None else int(warm_buckets)
        if sketch_buckets is not None:
            check_positive(sketch_buckets=sketch_buckets)
            if num_dedicated + num_warm > _MOST_ROWS * sketch_buckets:
                raise invalid(
                    f"`num_dedicated` and `num_warm` together must be at most {_MOST_ROWS} times "
                    "`sketch_buckets`.",
                    "Take as many buckets as such ids.",
                    num_dedicated=num_dedicated,
                    num_warm=num_warm,
                    sketch_buckets=sketch_buckets,
                )
            sketch_buckets = int(sketch_buckets)
        self.sketch_buckets = sketch_buckets
        self._sketch = None
        if sketch_buckets is not None:
            self._sketch = Sketch(UniversalHash(self.input_dim, sketch_buckets, 0))
        self.reads_rows_of_ids = self.trains_under_xla = self._sketch is None
        self.num_buckets, self.num_dedicated = int(num_buckets), int(num_dedicated)
        self.importance, self.decay = importance, float(decay)
        self.adapts_every = int(adapts_every)

    @property
    def _second_row(self) -> UniversalHash:
        """The row of `W` of each id."""
        assert self.warm_buckets is not None
        return UniversalHash(self.input_dim, self.warm_buckets, 1)

    def tables(self) -> tuple[Table, ...]:
        count = self.num_dedicated + self.num_buckets
        rows = [Table("rows", count, self.output_dim)]
        if self.warm_buckets:
            rows.append(Table("warm", self.warm_buckets, self.output_dim))
        if self._sketch is not None:
            # A warm id has the row behind those of single ids.
            return (*self._sketch.tables(self.num_dedicated + bool(self.num_warm)), *rows)
        row_of = Table.of_index(
            "row_of",
            self.input_dim,
            1,
            num_values=count + self.num_buckets * bool(self.num_warm),
            initializer=self._initial_rows,
        )
        return (row_of, *rows, Table.of_statistics("importance", self.input_dim, 1))

    def _initial_rows(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.constant(self._shared_rows[:, None], dtype)

    @property
    def _shared_rows(self) -> np.ndarray:
        """The row that each id shares, behind those of single ids."""
        return self.num_dedicated + np.arange(self.input_dim) % self.num_buckets

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        return self._vectors_at(xp, ids, self._rows_of(xp, ids, t), t)

    def _vectors_at(self, xp: Ops, ids: Array, rows: Array, t: Tables) -> Array:
        """The vectors of ids that read such rows."""
        if not self.num_warm:
            return xp.gather(t["rows"], rows)
        is_warm, rows = self._split_off_warm(xp, rows)
        second = xp.gather(t["warm"], self._second_row(xp.to_int32(ids)))
        return xp.gather(t["rows"], rows) + xp.where(is_warm[..., None], second, 0.0)

    def _split_off_warm(self, xp: Ops, rows: Array) -> tuple[Array, Array]:
        """Which ids are warm, whose shared rows are counted on from the last one, and the rows."""
        is_warm = rows >= self.num_dedicated + self.num_buckets
        return is_warm, xp.where(is_warm, rows - self.num_buckets, rows)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        ids = xp.arange(self.input_dim)
        rows = xp.column(t["row_of"], 0) if self._sketch is None else self._rows_of(xp, ids, t)
        if not self.num_warm:
            return xp.gather_columns(xp.scores(query, t["rows"]), rows)
        is_warm, rows = self._split_off_warm(xp, rows)
        second = xp.gather_columns(xp.scores(query, t["warm"]), self._second_row(ids))
        first = xp.gather_columns(xp.scores(query, t["rows"]), rows)
        return first + xp.where(is_warm, second, 0.0)

    def _rows_of(self, xp: Ops, ids: Array, t: Tables) -> Array:
        """The row that each id reads."""
        if self._sketch is None:
            return xp.gather(t["row_of"], ids)[..., 0]
        return self._own_or_shared(xp, ids, self._sketch.find_rows(xp, ids, t))

    def _own_or_shared(self, xp: Ops, ids: Array, own: Array) -> Array:
        """Rows of ids of which some have one of their own, which is `own - 1`."""
        shared = self.num_dedicated + xp.to_int32(ids) % self.num_buckets
        if self.num_warm:
            is_warm = own > self.num_dedicated
            shared = shared + xp.where(is_warm, own * 0 + self.num_buckets, 0)
            own = xp.where(is_warm, own * 0, own)
        return xp.where(own > 0, own - 1, shared)

    def train_lookup(self, xp: Ops, ids: Array, t: Tables) -> TrainingLookup:
        where: str | Sketch = "importance"
        if self._sketch is None:
            vectors = self.lookup(xp, ids, t)
        else:
            where = self._sketch
            own = sketches.find_rows(where, xp, ids, t)
            vectors = self._vectors_at(xp, ids, self._own_or_shared(xp, ids, own), t)
        if self.importance == "frequency":
            return TrainingLookup(vectors, counts={where: (ids, 1.0)})
        return TrainingLookup(vectors, norms={where: ids})

    def adapt(self, step: int, t: dict[str, np.ndarray]) -> Adaptation:
        if self._sketch is not None:
            return self._adapt_cells(self._sketch, t)
        row_of, importance = t["row_of"][:, 0].copy(), t["importance"][:, 0]
        shared = self._shared_rows
        # Hot before or warm before: an id that comes must be more important by some.
        judged = np.where(row_of != shared, _KEEP * importance, importance)
        hot, warm = self._hot_and_warm(judged)
        was_hot = row_of < self.num_dedicated
        stays = np.zeros(self.input_dim, bool)
        stays[hot] = True
        entering = hot[~was_hot[hot]]
        row_of[~(was_hot & stays)] = shared[~(was_hot & stays)]
        row_of[warm] += self.num_buckets
        free = np.setdiff1d(np.arange(self.num_dedicated), row_of)[: len(entering)]
        row_of[entering] = free
        tables, rows_from = self._moved(t, entering, free)
        tables |= {
            "row_of": row_of[:, None],
            "importance": t["importance"] * np.float32(self.decay),
        }
        return Adaptation(tables, rows_from={"rows": rows_from})

    def _hot_and_warm(self, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where what is judged most important is, and what comes next; nothing of importance 0."""
        most = np.argsort(-judged, kind="stable")[: self.num_dedicated + self.num_warm]
        most = most[judged[most] > 0]
        return most[: self.num_dedicated], most[self.num_dedicated :]

    def _moved(
        self, t: dict[str, np.ndarray], ids: np.ndarray, free: np.ndarray
    ) -> tuple[Tables, np.ndarray]:
        """The rows, where ids get free ones with the vectors that they had, and whose state."""
        rows_from = np.arange(len(t["rows"]))
        rows_from[free] = self.num_dedicated + ids % self.num_buckets
        rows = t["rows"][rows_from]
        rows[free] = self.lookup(NumpyOps(), ids, t)
        return {"rows": rows}, rows_from

    def _adapt_cells(self, sketch: Sketch, t: dict[str, np.ndarray]) -> Adaptation:
        """`adapt` of the cells of a sketch in place of ids."""
        ids, owned, scores, errors = (t[name].reshape(-1) for name in sketch.names)
        was_hot = (owned > 0) & (owned <= self.num_dedicated)
        # What was counted for sure: an id that has just come has the score of the one before.
        counted = scores - errors
        judged = np.where(owned > 0, np.float32(_KEEP) * counted, counted)
        judged[ids == 0] = 0
        places = np.argsort(np.argsort(-judged.reshape(-1, CELLS), kind="stable"), kind="stable")
        judged[places.reshape(-1) >= _MOST_ROWS] = 0
        hot, warm = self._hot_and_warm(judged)
        stays = np.zeros(len(ids), bool)
        stays[hot] = True
        entering = hot[~was_hot[hot]]
        rows_after = np.where(stays & was_hot, owned, 0)
        free = np.setdiff1d(np.arange(self.num_dedicated), rows_after - 1)[: len(entering)]
        rows_after[entering] = free + 1
        rows_after[warm] = self.num_dedicated + 1
        tables, rows_from = self._moved(t, ids[entering] - 1, free)
        names = sketch.names
        tables |= {
            names.rows: rows_after.reshape(-1, CELLS),
            names.scores: t[names.scores] * np.float32(self.decay),
            names.errors: t[names.errors] * np.float32(self.decay),
        }
        return Adaptation(tables, rows_from={"rows": rows_from})

    def _importance_of_rows(self, t: dict[str, np.ndarray], hot: np.ndarray) -> np.ndarray:
        """How important the ids are that have rows of their own."""
        if self._sketch is None:
            return t["importance"][hot, 0]
        names = self._sketch.names
        by_row = np.zeros(self.num_dedicated, np.float32)
        has_row = (t[names.rows] > 0) & (t[names.rows] <= self.num_dedicated)
        by_row[t[names.rows][has_row] - 1] = t[names.scores][has_row]
        return by_row[self._rows_of(NumpyOps(), hot, t)]

    def has_row(self, ids: Any) -> np.ndarray:
        """Which of some ids have a row of their own: booleans of the shape of the ids."""
        rows = self._rows_of(NumpyOps(), np.asarray(ids), self.table_values())
        return np.asarray(rows < self.num_dedicated)

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
        if self.num_warm:
            raise invalid(
                "`num_warm` must be 0: warm ids read two rows.",
                "Convert the layer as it is.",
                num_warm=self.num_warm,
            )
        t = self.table_values()
        row_of = self._rows_of(NumpyOps(), np.arange(self.input_dim), t)
        ids = np.empty(self.input_dim, np.int64)
        hot = np.flatnonzero(row_of < self.num_dedicated)
        order = hot[np.argsort(-self._importance_of_rows(t, hot), kind="stable")]
        ids[order] = np.arange(len(order))
        others = np.flatnonzero(row_of >= self.num_dedicated)
        bucket = row_of[others] - self.num_dedicated
        in_order = np.argsort(bucket, kind="stable")
        first = np.searchsorted(bucket[in_order], np.arange(self.num_buckets))
        turn = np.empty(len(others), np.int64)
        turn[in_order] = np.arange(len(others)) - first[bucket[in_order]]
        ids[others] = len(order) + turn * self.num_buckets + bucket
        config = {
            name: value for name, value in self.get_config().items() if name not in _FOR_TRAINING
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
            "sketch_buckets": self.sketch_buckets,
            "num_warm": self.num_warm,
            "warm_buckets": self.warm_buckets,
        }
