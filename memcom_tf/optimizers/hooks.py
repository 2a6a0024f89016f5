"""Where Keras 3 and tf_keras call an optimizer during a step: all that differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.gradients import DivisibleSlices, clip
from memcom_tf.optimizers.replicas import in_unique_rows, summed_over_replicas, without_fillers

Pairs = Sequence[tuple[Array | None, Any]]
"""(gradient, `tf.Variable`) of a step; the gradient is None where nothing is left to do."""


class Hooks(keras.optimizers.Optimizer):
    """What both Keras share: clipping that stays sparse, and decay as a part of the update."""

    def _create_slots(self, variables: Sequence[Any]) -> None:
        raise NotImplementedError

    def _update_jointly(self, pairs: Pairs, learning_rate: Any) -> Pairs:
        raise NotImplementedError

    def _clip_gradients(self, gradients: Sequence[Array | None]) -> Sequence[Array | None]:
        return clip(gradients, self.clipnorm, self.global_clipnorm, self.clipvalue)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        # The update rule does it: Keras would write whole tables here.
        pass


class Keras3Hooks(Hooks):
    """The hooks of Keras 3."""

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the slots."""
        if self.built:
            return
        # Past the build of Keras' Adam, Adagrad and SGD, which creates slots of its own.
        keras.optimizers.Optimizer.build(self, variables)
        self._create_slots(variables)

    def _index_of(self, variable: Any) -> int:
        return int(self._get_variable_index(variable))

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        """Applies gradients: Keras' `apply`, for sparse ones with a `loss_scale_factor` too."""
        grads = summed_over_replicas(grads)
        if self.loss_scale_factor is not None:
            grads = [
                DivisibleSlices(gradient.values, gradient.indices, gradient.dense_shape)
                if isinstance(gradient, tf.IndexedSlices)
                else gradient
                for gradient in grads
            ]
        return super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars: Pairs) -> Pairs:
        return grads_and_vars  # `apply` did it, before it clipped

    def _backend_update_step(
        self, grads: Sequence[Array], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        if tf.distribute.has_strategy():
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        variables = [as_tf_variable(variable) for variable in trainable_variables]
        pairs = list(zip(grads, variables, strict=True))
        for gradient, variable in self._update_jointly(pairs, learning_rate):
            self.update_step(gradient, variable, learning_rate)


class TfKerasHooks(Hooks):
    """The hooks of tf_keras."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # XLA would be handed values of gradients that compute them only when read.
        super().__init__(*args, **{"jit_compile": False, "name": type(self).__name__, **kwargs})

    def build(self, var_list: Sequence[Any]) -> None:
        """Creates the slots."""
        if getattr(self, "_built", False):
            return
        # Past the build of Keras' Adam, Adagrad and SGD, which creates slots of its own.
        keras.optimizers.Optimizer.build(self, var_list)
        self._built = True
        self._create_slots(var_list)

    def _index_of(self, variable: Any) -> int:
        return int(self._index_dict[self._var_key(variable)])

    def _deduplicate_sparse_grad(self, grads: Sequence[Array]) -> Sequence[Array]:
        # The update does it, and gradients that compute their values when read stay unread.
        return grads

    def aggregate_gradients(self, grads_and_vars: Pairs) -> Any:
        """Sums gradients over the replicas; tf_keras calls this before it clips."""
        pairs = list(grads_and_vars)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            pairs = [(in_unique_rows(gradient), variable) for gradient, variable in pairs]
            summed = super().aggregate_gradients(pairs)
            return [(without_fillers(gradient), variable) for gradient, variable in summed]
        return super().aggregate_gradients(pairs)

    def _distributed_apply_gradients_fn(
        self, distribution: Any, grads_and_vars: Pairs, **kwargs: Any
    ) -> Any:
        if not tf.distribute.has_strategy():
            grads_and_vars = self._update_jointly(grads_and_vars, self.learning_rate)
        return super()._distributed_apply_gradients_fn(distribution, grads_and_vars, **kwargs)


def as_tf_variable(variable: Any) -> Any:
    """The `tf.Variable` of a Keras variable."""
    return variable if isinstance(variable, tf.Variable) else variable.value
