"""How training uses a sketch: by the C++ ops, or by TensorFlow's and NumPy without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import auto_control_deps_utils

from memcom_tf.errors import invalid, message
from memcom_tf.kernels import selection
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.sketch import Sketch
from memcom_tf.tables import Tables

# Otherwise a lookup would wait for the one before.
auto_control_deps_utils.register_read_only_resource_op("Memcom>SketchFind")


@tf.autograph.experimental.do_not_convert
def insert(sketch: Sketch, variables: Sequence[tf.Variable], ids: Array, values: Array) -> None:
    """Inserts ids with their values into the variables of a sketch.

    Args:
        sketch: What says where ids are counted.
        variables: Those of the cells, in the order of `sketch.names`.
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
        handles = [variable.handle for variable in variables]
        library.memcom_sketch_insert(*handles, ids=ids, values=values, **_attributes(sketch))
        return
    cells = [variable.read_value() for variable in variables]
    shape = tf.shape(ids)
    given = tf.fill(shape, values) if values.shape.rank == 0 else tf.reshape(values, shape)
    found = tf.numpy_function(
        lambda *arrays: _inserted(sketch, *arrays),
        [*cells, ids, given],
        [tf.int32, tf.float32, tf.float32],
    )
    changed = variables[0], *variables[2:]
    for variable, values_after in zip(changed, found, strict=True):
        variable.assign(tf.ensure_shape(values_after, variable.shape))


@tf.autograph.experimental.do_not_convert
def find_rows(sketch: Sketch, xp: Ops, ids: Array, t: Tables) -> Array:
    """What `Sketch.find_rows` finds, in training.

    Args:
        sketch: What says where ids are counted.
        xp: TensorFlow's ops.
        ids: int32 or int64 in `[0, input_dim)`, of any shape.
        t: The variables by name.

    Returns:
        int32 of the shape of the ids.
    """
    cells = [t[sketch.names.ids], t[sketch.names.rows]]
    are_variables = all(isinstance(variable, tf.Variable) for variable in cells)
    scores = t[sketch.names.scores]
    if are_variables and selection.uses_native([scores], training=True):
        library: Any = selection.library()
        handles = [variable.handle for variable in cells]
        return library.memcom_sketch_find(*handles, ids=ids, **_attributes(sketch))
    # In 64 bits, which runtimes of files need not have.
    buckets = sketch.bucket_of.of_int64(tf.cast(ids, tf.int64))
    return sketch.find_rows(xp, ids, t, buckets)


def _attributes(sketch: Sketch) -> dict[str, int]:
    multiplier, increment, prime = sketch.bucket_of.coefficients
    return {
        "input_dim": sketch.bucket_of.input_dim,
        "multiplier": multiplier,
        "increment": increment,
        "prime": prime,
    }


def _inserted(sketch: Sketch, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    *cells, ids, values = arrays
    outside = (ids < 0) | (ids >= sketch.bucket_of.input_dim)
    if outside.any():
        # TensorFlow makes an InvalidArgumentError of it.
        must = f"Ids must be in [0, {sketch.bucket_of.input_dim}), the vocabulary."
        raise invalid(must, id=int(ids[outside].flat[0]))
    return sketch.inserted(cells, ids, values)
