"""Sparse ids as the layers compute with them: dense where each has a vector, ragged in bags."""

from __future__ import annotations

import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array
from memcom_tf.ops.reference import alike


def as_dense(ids: Array) -> Array:
    """The ids, dense: what is missing is id 0, as `keras.layers.Embedding` has it.

    Example:
        >>> ids = tf.SparseTensor([[0, 0], [1, 2]], [2, 1], (2, 3))
        >>> as_dense(ids).numpy().tolist()
        [[2, 0, 0], [0, 0, 1]]
    """
    return tf.sparse.to_dense(tf.sparse.reorder(ids))


def as_bags(ids: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Sparse ids `[b, L]` and their weights as ragged bags `[b, (L)]` of what is not missing.

    Args:
        ids: A `tf.SparseTensor` of two axes.
        weights: A `tf.SparseTensor` with a number at every position of the ids, or None.

    Returns:
        Both, ragged. An axis in front of the bags is all that a bag keeps of its place.

    Raises:
        ValueError: If the ids have other axes, or the weights are not sparse, or elsewhere.

    Example:
        >>> ids = tf.SparseTensor([[0, 3], [2, 0], [2, 1]], [7, 8, 9], (3, 4))
        >>> as_bags(ids, None)[0].to_list()
        [[7], [], [8, 9]]
    """
    if ids.shape.rank != 2:
        raise invalid(
            "Sparse ids must have two axes to be pooled.",
            "Pass a tf.RaggedTensor, or dense ids.",
            shape=tuple(ids.shape),
        )
    ids = tf.sparse.reorder(ids)
    if weights is None:
        return _rows(ids, ids.values), None
    if not isinstance(weights, tf.SparseTensor):
        raise invalid("`weights` must be sparse exactly where the ids are.")
    weights = tf.sparse.reorder(weights)
    of_ids, of_weights = (tf.reshape(sparse.indices, [-1]) for sparse in (ids, weights))
    values = alike(weights.values, of_ids, of_weights, "the positions")
    return _rows(ids, ids.values), _rows(ids, values)


def _rows(sparse: Array, values: Array) -> Array:
    return tf.RaggedTensor.from_value_rowids(
        values, sparse.indices[:, 0], nrows=sparse.dense_shape[0], validate=False
    )
