"""A small ranker of the next article, all of whose knowledge of articles is in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.drift.data import Day
from memcom_tf._keras import keras
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.optimizers import LazyAdam, move_rows

WIDTH, HIDDEN = 16, 64
BATCH, NEGATIVES = 256, 128
LEARNING_RATE = 0.003
CANDIDATES, K = 100, 10
_GAINS = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, K + 2)))])


class Batch(NamedTuple):
    """Some predictions, with the articles that all targets are compared with.

    Attributes:
        known: `[m]` the articles of all histories.
        rows: `[m]` whose history each is in, rising.
        shares: `[m]` one over the length of its history.
        last: `[b]` where in `known` the latest of each history is.
        targets: `[b]` ids.
        negatives: `[128]` ids.
    """

    known: np.ndarray
    rows: np.ndarray
    shares: np.ndarray
    last: np.ndarray
    targets: np.ndarray
    negatives: np.ndarray


def batch_of(histories: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> Batch:
    """A batch of histories `[b, 5]`."""
    known = histories > 0
    lengths = known.sum(1)
    rows, _ = np.nonzero(known)
    last = np.cumsum(lengths) - lengths
    shares = (1 / lengths[rows]).astype(np.float32)
    return Batch(histories[known], rows.astype(np.int32), shares, last, targets, negatives)


class Ranker:
    """`score(i) = query . vector(i)`, of a query that two dense layers make of the session.

    They read the mean vector of the last five articles and that of the latest.

    Args:
        table: The vectors of articles, `[input_dim, 16]`, not built.
    """

    def __init__(self, table: CompressedEmbedding) -> None:
        self.table = table
        table.build(None)
        table.is_adapted = True
        self._hidden = keras.layers.Dense(HIDDEN, activation="relu")
        self._out = keras.layers.Dense(WIDTH)
        self._hidden.build((None, 2 * WIDTH))
        self._out.build((None, HIDDEN))
        self._variables = [
            *table.trainable_variables,
            *self._hidden.trainable_variables,
            *self._out.trainable_variables,
        ]
        self.optimizer = LazyAdam(LEARNING_RATE)
        self.optimizer.build(self._variables)
        self.steps = 0
        ids = tf.TensorSpec([None], tf.int32)
        numbers = tf.TensorSpec([None], tf.float32)
        places = tf.TensorSpec([None], tf.int64)
        signature = [ids, ids, numbers, places, ids, ids]
        self.step: Callable[..., Any] = tf.function(self._step, input_signature=signature)
        self._queries = tf.function(self._query, input_signature=[*signature[:4], ids])

    def _query_of(self, vectors: Any, rows: Any, shares: Any, last: Any) -> Any:
        mean = tf.math.segment_sum(vectors * shares[:, None], rows)
        return self._out(self._hidden(tf.concat([mean, tf.gather(vectors, last)], axis=1)))

    def _query(self, known: Any, rows: Any, shares: Any, last: Any, items: Any) -> Any:
        vectors = self.table(known, training=False)
        return self._query_of(vectors, rows, shares, last), self.table(items, training=False)

    def _step(
        self, known: Any, rows: Any, shares: Any, last: Any, targets: Any, negatives: Any
    ) -> Any:
        count, positives = tf.shape(known)[0], tf.shape(targets)[0]
        with tf.GradientTape() as tape:
            # One lookup: norms of gradients are over the mean of it.
            vectors = self.table(tf.concat([known, targets, negatives], axis=0), training=True)
            query = self._query_of(vectors[:count], rows, shares, last)
            positive = tf.reduce_sum(query * vectors[count : count + positives], axis=1)
            others = tf.matmul(query, vectors[count + positives :], transpose_b=True)
            same = tf.cast(targets[:, None] == negatives[None], tf.float32)
            logits = tf.concat([positive[:, None], others - 1e9 * same], axis=1)
            loss = tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - positive)
        gradients = tape.gradient(loss, self._variables)
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        return loss

    def train(self, day: Day, catalogue: np.ndarray, seed: int) -> None:
        """A pass over a day in order of time, against articles that are drawn from it."""
        rng = np.random.default_rng(seed)
        for first in range(0, len(day.targets), BATCH):
            part = slice(first, first + BATCH)
            negatives = rng.choice(catalogue, NEGATIVES).astype(np.int32)
            self.step(*batch_of(day.histories[part], day.targets[part], negatives))
            self.steps += 1
            if self.table.adapts_every and self.steps % self.table.adapts_every == 0:
                self.adapt()

    def adapt(self) -> None:
        """Lets the table change its rows, with the state of the optimizer."""
        change = self.table.adapt_tables(self.steps)
        for name, rows_from in (change.rows_from if change else {}).items():
            move_rows(self.optimizer, self.table.variable(name), rows_from)

    def test(self, day: Day, catalogue: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """nDCG@10 and AUC of each target among 100 other articles of the day.

        All orders of equal scores are as likely. Which articles they are follows from the seed.
        """
        rng = np.random.default_rng(seed)
        places = np.searchsorted(catalogue, day.targets)
        others = rng.integers(0, len(catalogue) - 1, (len(places), CANDIDATES))
        others += others >= places[:, None]
        batch = batch_of(day.histories, day.targets, np.zeros(0, np.int32))
        query, vectors = self._queries(*batch[:4], catalogue.astype(np.int32))
        # Articles of one row have one score, to the last bit.
        rows, row_of = np.unique(np.asarray(vectors), axis=0, return_inverse=True)
        scores = np.asarray(query) @ rows.T
        wanted = np.take_along_axis(scores, row_of[places][:, None], axis=1)
        compared = np.take_along_axis(scores, row_of[others], axis=1)
        above = (compared > wanted).sum(1)
        equal = (compared == wanted).sum(1)
        gains = _GAINS[np.minimum(above + equal + 1, K)] - _GAINS[np.minimum(above, K)]
        return gains / (equal + 1), 1 - (above + 0.5 * equal) / CANDIDATES
