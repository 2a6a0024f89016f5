"""How training counts ids in a sketch: by the C++ op, or in NumPy where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid, message
from memcom_tf.kernels import selection
from memcom_tf.ops.interface import Array
from memcom_tf.ops.sketch import Sketch


@tf.autograph.experimental.do_not_convert
def insert(sketch: Sketch, variables: Sequence[tf.Variable], ids: Array, values: Array) -> None:
    """Inserts ids with their values into the variables of a sketch.

    Args:
        sketch: What says where ids are counted.
        variables: Those of the cells' ids, rows and scores.
        ids: int32 or int64 in `[0, input_dim)`, of any shape.
        values: float32, as many, or one number for all.

    Raises:
        tf.errors.InvalidArgumentError: For an id out of range, naming it.
        RuntimeError: Where XLA compiles, for which there is neither of both.
    """
    if selection.is_compiled_by_xla():
        raise RuntimeError(
            message(
                "A layer with a sketch must be trained without XLA.",
                "Compile the model with jit_compile=False, or leave `sketch_buckets` out.",
                sketch_buckets=sketch.bucket_of.num_buckets,
            )
        )
    if selection.uses_native([variables[2]], training=True):
        library: Any = selection.library()
        multiplier, increment, prime = sketch.bucket_of.coefficients
        library.memcom_sketch_insert(
            *(variable.handle for variable in variables),
            ids=ids,
            values=values,
            input_dim=sketch.bucket_of.input_dim,
            multiplier=multiplier,
            increment=increment,
            prime=prime,
        )
        return
    cells = [variable.read_value() for variable in variables]
    shape = tf.shape(ids)
    given = tf.fill(shape, values) if values.shape.rank == 0 else tf.reshape(values, shape)
    found = tf.numpy_function(
        lambda *arrays: _inserted(sketch, *arrays), [*cells, ids, given], [tf.int32, tf.float32]
    )
    for variable, values_after in zip((variables[0], variables[2]), found, strict=True):
        variable.assign(tf.ensure_shape(values_after, variable.shape))


def _inserted(sketch: Sketch, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ids = arrays[3]
    outside = (ids < 0) | (ids >= sketch.bucket_of.input_dim)
    if outside.any():
        # TensorFlow makes an InvalidArgumentError of it.
        must = f"Ids must be in [0, {sketch.bucket_of.input_dim}), the vocabulary."
        raise invalid(must, id=int(ids[outside].flat[0]))
    return sketch.inserted(*arrays)
