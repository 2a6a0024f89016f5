"""What a layer shares with `keras.layers.Embedding` beside its arguments and its vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.errors import invalid, message
from memcom_tf.layers.contract.composed_table import ComposedTable
from memcom_tf.layers.contract.method import Method
from memcom_tf.layers.contract.sizing import SizedLayer
from memcom_tf.ops.interface import Array
from memcom_tf.ops.sparse_ids import as_bags, as_dense
from memcom_tf.text import html_table

_FEW_BITS = "Train in floats, and choose the bits of what ships with `storage`."


class DropInLayer(SizedLayer):
    """A layer with the attributes, masks, shapes and configuration of Keras' own."""

    mask_zero: bool
    combiner: str | None
    _initial_table: np.ndarray | None = None

    @property
    def embeddings(self) -> Any:
        """The vectors of all ids, `[input_dim, output_dim]`, as Keras names them.

        `FullEmbedding` has its variable here. Other methods compose vectors of what they store:
        theirs are a `ComposedTable`, which computes what is read of it, and cannot be assigned.

        Raises:
            AttributeError: Before the layer is built.

        Example:
            >>> from memcom_tf import MEmComEmbedding
            >>> layer = MEmComEmbedding(10, 4, num_buckets=3)
            >>> vectors = layer(np.array([7, 8]))
            >>> np.array_equal(layer.embeddings[7:9], vectors)
            True
        """
        self._require_built()
        return ComposedTable(self)

    def _require_built(self) -> None:
        if not self.built:
            raise AttributeError("You must build the layer before accessing `embeddings`.")

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables that `tables` declares, once."""
        if self.built:
            return
        super().build(input_shape)
        if self._initial_table is not None:
            tables = self._nearest_tables(self._initial_table, np.ones(self.input_dim, np.float32))
            self._initial_table = None
            self.assign_tables(tables)

    def _checked_initial_table(self, weights: Any) -> np.ndarray | None:
        """The argument `weights` of the constructor as an array."""
        if weights is None:
            return None
        if isinstance(weights, (list, tuple)) and len(weights) == 1:
            (weights,) = weights
        shape = self.input_dim, self.output_dim
        table = np.asarray(weights, np.float32)
        if table.shape != shape or not np.isfinite(table).all():
            raise invalid(
                f"`weights` must be of shape {shape}, and finite.",
                "Pass what `keras.layers.Embedding.get_weights()` gives.",
                shape=table.shape,
                finite=bool(np.isfinite(table).all()),
            )
        if type(self).approximate is Method.approximate:
            raise self._only_trained()
        return table

    def _refuse_quantized_dtype(self) -> None:
        policy: Any = getattr(self, "dtype_policy", None)
        if getattr(policy, "quantization_mode", None) is not None:
            raise self._not_in_keras("quantize", _FEW_BITS, dtype=policy.name)

    def quantize(self, mode: Any = None, type_check: bool = True, **options: Any) -> None:
        """Refuses Keras' quantization, as Keras does of layers that do not know it.

        `keras.Model.quantize` warns of such a layer, and quantizes the others.

        Raises:
            NotImplementedError: Always.
        """
        raise self._not_in_keras("quantize", _FEW_BITS, mode=mode)

    def enable_lora(self, rank: int, *args: Any, **kwargs: Any) -> None:
        """Refuses Keras' LoRA, as Keras does of what a layer has not implemented.

        Raises:
            NotImplementedError: Always.
        """
        action = "Train the layer as it is: compressed tables are small."
        raise self._not_in_keras("enable_lora", action, rank=rank)

    def _not_in_keras(self, name: str, action: str, **received: Any) -> NotImplementedError:
        must = f"Layer {type(self).__name__} does not have a `{name}` method implemented."
        return NotImplementedError(message(must, action, **received))

    def _without_sparse(self, ids: Array, weights: Array | None) -> tuple[Array, Array | None]:
        """Sparse ids and weights as dense or ragged ones."""
        if self.combiner is not None and ids.shape.rank != 1:
            return as_bags(ids, weights)
        if isinstance(weights, tf.SparseTensor):
            weights = as_dense(weights)
        return as_dense(ids), weights

    def compute_mask(self, inputs: Array, mask: Any = None) -> Array | None:
        """The mask of padding, where `mask_zero` is set and nothing was pooled."""
        if not self.mask_zero or self.combiner is not None:
            return None
        if isinstance(inputs, tf.SparseTensor):
            inputs = as_dense(inputs)
        return inputs != 0

    def compute_output_shape(self, inputs_shape: Any, weights_shape: Any = None) -> tuple[Any, ...]:
        """The shape of what `call` returns."""
        shape = tuple(inputs_shape)
        if self.combiner is not None and len(shape) > 1:
            shape = shape[:-1]
        return (*shape, self.output_dim)

    if is_keras_3:

        def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            """What `call` returns, as a symbolic tensor: ragged as the ids, if not pooled."""
            spec = super().compute_output_spec(inputs, *args, **kwargs)
            if self.combiner is None and getattr(inputs, "ragged", False):
                return keras.KerasTensor(spec.shape, spec.dtype, ragged=True)
            return spec

    def _repr_html_(self) -> str:
        rows = [
            [table.name, table.kind, f"{table.rows:,}", table.width, str(table.storage)]
            for table in self.tables()
        ]
        caption = (
            f"{type(self).__name__} {self.name}: {self.input_dim:,} x {self.output_dim}, "
            f"{self.parameter_bytes:,} bytes, {self.compression_ratio:.1f} times smaller"
        )
        return html_table(caption, ["table", "kind", "rows", "width", "ships as"], rows)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": keras.constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "combiner": self.combiner,
            "storage": dict(self.storage),
            "quantization_aware": self.quantization_aware,
            "learned_steps": self.learned_steps,
        }
