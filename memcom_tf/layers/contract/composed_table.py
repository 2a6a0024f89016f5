"""The vectors of a compressed layer as a table to read."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import message


class ComposedTable:
    """The vectors of all ids of a layer, `[input_dim, output_dim]`, computed when they are read.

    NumPy and TensorFlow take it for an array. An index computes the rows that it names, and no
    others: `table[3]`, `table[[3, 5]]`, `table[10:20]`.

    Args:
        layer: A layer that is built.

    Attributes:
        shape: `(input_dim, output_dim)`.
        dtype: The layer's compute dtype, by name.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> layer = MEmComEmbedding(10, 4, num_buckets=3)
        >>> layer.build()
        >>> table = layer.embeddings
        >>> table
        <vectors of MEmComEmbedding, shape=(10, 4), dtype=float32, read-only>
        >>> np.asarray(table).shape, tuple(table[3].shape)
        ((10, 4), (4,))
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self.shape: tuple[int, int] = (layer.input_dim, layer.output_dim)
        self.dtype: str = layer.compute_dtype

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, *columns = index if isinstance(index, tuple) else (index,)
        found = self._vectors(np.arange(len(self), dtype=np.int64)[rows]).numpy()
        place = (..., *columns)
        return found[place]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.numpy(), dtype)

    def numpy(self) -> np.ndarray:
        """All vectors, as an array."""
        return self._vectors(np.arange(len(self))).numpy()

    def assign(self, value: Any) -> None:
        """Refuses: vectors that are composed have no place of their own.

        Raises:
            NotImplementedError: Always.
        """
        name = type(self._layer).__name__
        raise NotImplementedError(
            message(
                f"`embeddings` of {name} can only be read: vectors are composed of smaller tables.",
                f"Call {name}.from_table for the nearest ones, or assign_tables.",
                shape=np.shape(value),
            )
        )

    def _vectors(self, ids: np.ndarray) -> Any:
        return self._layer._vectors(tf.constant(ids, tf.int64), False)

    def __repr__(self) -> str:
        name = type(self._layer).__name__
        return f"<vectors of {name}, shape={self.shape}, dtype={self.dtype}, read-only>"


def _as_tensor(
    table: ComposedTable, dtype: Any = None, name: Any = None, as_ref: Any = None
) -> Any:
    vectors = table._vectors(np.arange(len(table)))
    return vectors if dtype is None else tf.cast(vectors, dtype)


tf.register_tensor_conversion_function(ComposedTable, _as_tensor)
