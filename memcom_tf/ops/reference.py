"""The maths in plain TensorFlow: the specification, and what runs where nothing faster does."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf

from memcom_tf.errors import invalid, message
from memcom_tf.ops.interface import Array
from memcom_tf.ops.operations import Version
from memcom_tf.tables import TableValue

COMBINERS = ("sum", "mean", "sqrtn")
CHECKED_IDS = "memcom_ids_below_"
"""What names of nodes end with that are checked ids; the size of the vocabulary follows."""
POISONED = "memcom_poisoned"
"""What names of nodes end with that are no numbers where an id was out of range."""


class ReferenceOps(Version, arrays="tensorflow"):
    """`memcom_tf.ops.interface.Ops` over TensorFlow tensors and variables."""

    def gather(self, table: TableValue, rows: Array) -> Array:
        if isinstance(table, tf.__internal__.distribute.ShardedVariable):
            found = tf.nn.embedding_lookup(table, rows)  # reads rows where they are, and no more
        else:
            found = tf.gather(table, rows)
        return tf.cast(found, tf.int32) if found.dtype in (tf.uint8, tf.int16) else found

    def column(self, table: TableValue, index: int) -> Array:
        return tf.cast(tf.convert_to_tensor(table)[:, index], tf.int32)

    def values(self, table: TableValue) -> Array:
        return tf.convert_to_tensor(table)

    def matmul(self, x: Array, table: TableValue) -> Array:
        return tf.tensordot(x, table, axes=1)

    def scores(self, query: Array, table: TableValue) -> Array:
        return tf.tensordot(query, table, axes=[[-1], [1]])

    def abs_max(self, table: TableValue, axis: int) -> Array:
        found = tf.reduce_max(tf.abs(tf.stop_gradient(table)), axis=axis, keepdims=True)
        return tf.where(found == 0, tf.ones_like(found), found)

    def extremes(self, table: TableValue, num_buckets: int, first: int = 0) -> tuple[Array, Array]:
        column = tf.reshape(table, [-1])[first:]
        buckets = tf.range(tf.size(column)) % num_buckets
        return (
            tf.math.unsorted_segment_min(column, buckets, num_buckets),
            tf.math.unsorted_segment_max(column, buckets, num_buckets),
        )


def as_ids(ids: Array, input_dim: int) -> Array:
    """Casts ids to int32 or int64 without losing any.

    Args:
        ids: Dense or ragged tensor of any integer type, or of floats, which Keras' inputs are by
            default.
        input_dim: Size of the vocabulary.

    Returns:
        The ids as int32 or int64.

    Raises:
        ValueError: For floats that cannot count to `input_dim` (float32 is exact to 2^24).
        TypeError: For strings and booleans.
    """
    if not isinstance(ids, tf.RaggedTensor):
        ids = tf.convert_to_tensor(ids)
    if ids.dtype in (tf.int32, tf.int64):
        return ids
    if ids.dtype.is_floating:
        exact = {tf.float64: 2**53, tf.float32: 2**24, tf.float16: 2**11, tf.bfloat16: 2**8}
        if input_dim - 1 > exact[ids.dtype]:
            raise invalid(
                f"Ids of a vocabulary of {input_dim} must be integers: {ids.dtype.name} is exact "
                f"only to {exact[ids.dtype]}.",
                "Pass int32 or int64, and give keras.Input dtype='int32'.",
                dtype=ids.dtype.name,
            )
    elif not ids.dtype.is_integer:
        raise TypeError(
            f"Ids must be integers. Received: dtype={ids.dtype.name}. Map items to ids with "
            "memcom_tf.Vocabulary."
        )
    wide = ids.dtype in (tf.uint32, tf.uint64, tf.float64)
    return tf.cast(ids, tf.int64 if wide else tf.int32)


def check_ids(ids: Array, input_dim: int) -> tuple[Array, Array]:
    """Requires `0 <= ids < input_dim`, and names the first id that is not.

    XLA drops assertions, therefore the second result: `poison` it into what was looked up.

    Args:
        ids: int32 or int64 tensor of any shape.
        input_dim: Size of the vocabulary.

    Returns:
        The ids, tied to the assertion, and a boolean scalar: whether any id is out of range.

    Raises:
        tf.errors.InvalidArgumentError: Eagerly and in graphs, when an id is out of range.
    """
    with _host():
        outside = (ids < 0) | (ids >= tf.cast(input_dim, ids.dtype))
        any_outside = tf.reduce_any(outside)
    must = f"Ids must be in [0, {input_dim}), the vocabulary."
    if tf.executing_eagerly():
        if any_outside:
            first = int(tf.boolean_mask(ids, outside)[0])
            raise tf.errors.InvalidArgumentError(
                None, None, message(must, "Map items to ids with memcom_tf.Vocabulary.", id=first)
            )
        return ids, any_outside
    with _host():
        first = tf.argmax(tf.cast(tf.reshape(outside, [-1]), tf.float32), output_type=tf.int32)
        # The slice keeps the message computable when there are no ids at all.
        offending = tf.reshape(ids, [-1])[first : first + 1]
        message_parts = [f"{must} Received: id =", offending]
        check = tf.debugging.Assert(tf.logical_not(any_outside), message_parts)
    with tf.control_dependencies([check]):
        ids = tf.identity(ids, name=f"{CHECKED_IDS}{input_dim}")
    return ids, any_outside


def _host() -> AbstractContextManager[Any]:
    """Where there is a GPU, ops of the CPU: ids come from there, and assertions run there.

    A step that asked a GPU whether to go on would wait for it.
    """
    return tf.device("CPU:0") if tf.config.list_physical_devices("GPU") else nullcontext()


def poison(values: Array, any_outside: Array) -> Array:
    """Turns everything into NaN if an id was out of range: what XLA does instead of raising."""
    return tf.cond(any_outside, lambda: values * float("nan"), lambda: values, name=POISONED)


def as_weights(weights: Array, ids: Array, dtype: str) -> Array:
    """Casts the weights of ids, and requires that there is one for each.

    Args:
        weights: Dense or ragged numbers, of the shape of the ids.
        ids: Dense or ragged tensor.
        dtype: What to cast to.

    Returns:
        The weights.

    Raises:
        ValueError: Where the shapes or the row splits differ, or only one of both is ragged.
        tf.errors.InvalidArgumentError: The same in a graph that was traced without knowing them.
    """
    if not isinstance(weights, tf.RaggedTensor):
        weights = tf.convert_to_tensor(weights)
    if isinstance(weights, tf.RaggedTensor) != isinstance(ids, tf.RaggedTensor):
        raise invalid("`weights` must be ragged exactly where the ids are.")
    if not ids.shape.is_compatible_with(weights.shape):
        raise invalid(
            "`weights` must have the shape of the ids.",
            ids=tuple(ids.shape),
            weights=tuple(weights.shape),
        )
    weights = tf.cast(weights, dtype)
    if not isinstance(ids, tf.RaggedTensor):
        if ids.shape.is_fully_defined() and weights.shape.is_fully_defined():
            return weights
        return alike(weights, tf.shape(ids), tf.shape(weights), "the shape")
    if ids.ragged_rank != weights.ragged_rank:
        raise invalid(
            "`weights` must have the row splits of the ids.",
            ids_ragged_rank=ids.ragged_rank,
            weights_ragged_rank=weights.ragged_rank,
        )
    values = weights.flat_values
    pairs = zip(ids.nested_row_splits, weights.nested_row_splits, strict=True)
    for splits, of_weights in pairs:
        if splits is not of_weights:
            values = alike(values, splits, of_weights, "the row splits")
    values = alike(values, tf.shape(ids.flat_values), tf.shape(values), "the shape")
    return ids.with_flat_values(values)


def alike(weights: Array, of_ids: Array, of_weights: Array, what: str) -> Array:
    """The weights, which must be laid out as the ids. NaN under XLA, which drops assertions.

    Args:
        weights: Their numbers.
        of_ids: How the ids are laid out: their shape, row splits or positions, one axis.
        of_weights: The same of the weights.
        what: What both must have in common, for the message.
    """
    must = f"`weights` must have {what} of the ids."
    sizes = tf.size(of_ids), tf.size(of_weights)
    count = tf.minimum(*sizes)
    same = tf.cast(of_ids[:count], tf.int64) == tf.cast(of_weights[:count], tf.int64)
    fits = (sizes[0] == sizes[1]) & tf.reduce_all(same)
    if tf.executing_eagerly():
        if not fits:
            raise invalid(must, ids=of_ids.numpy().tolist(), weights=of_weights.numpy().tolist())
        return weights
    check = tf.debugging.Assert(fits, [must, "Received: ids =", of_ids, "weights =", of_weights])
    with tf.control_dependencies([check]):
        weights = tf.identity(weights)
    return tf.where(fits, weights, tf.constant(float("nan"), weights.dtype))


def combine(vectors: Array, weights: Array | None, combiner: str) -> Array:
    """Pools the vectors of a bag.

    With vectors `x_l` and weights `w_l` (1 without weights): sum `s = sum_l w_l x_l`, mean
    `s / sum_l w_l`, sqrtn `s / sqrt(sum_l w_l^2)`; 0 where the divisor is 0. The semantics are
    those of `keras_rs.layers.EmbedReduce`.

    Args:
        vectors: `[..., L, d]`, or ragged `[b, (L), d]`.
        weights: `[..., L]` or ragged like the vectors, or None.
        combiner: "sum", "mean" or "sqrtn".

    Returns:
        `[..., d]`, dense.
    """
    if isinstance(vectors, tf.RaggedTensor):
        flat = vectors.flat_values
        flat_weights = tf.ones_like(flat[:, 0]) if weights is None else weights.flat_values
        total = tf.reduce_sum(vectors.with_flat_values(flat * flat_weights[:, None]), axis=1)
        weights = vectors.with_flat_values(flat_weights)
    elif weights is None:
        total = tf.reduce_sum(vectors, axis=-2)
        weights = tf.ones_like(vectors[..., 0])
    else:
        # One pass over the vectors instead of a product of their size and a sum.
        column = tf.expand_dims(weights, -1)
        total = tf.squeeze(tf.linalg.matmul(vectors, column, transpose_a=True), -1)
    if combiner == "sum":
        return total
    axis = 1 if isinstance(weights, tf.RaggedTensor) else -1
    if combiner == "mean":
        divisor = tf.reduce_sum(weights, axis=axis)
    else:
        divisor = tf.sqrt(tf.reduce_sum(weights * weights, axis=axis))
    return tf.math.divide_no_nan(total, tf.expand_dims(divisor, -1))
