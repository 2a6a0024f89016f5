"""The contract of a sparse optimizer: a class declares slots and a rule, this one does the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.errors import invalid
from memcom_tf.kernels import selection
from memcom_tf.kernels.placement import of_this_replica
from memcom_tf.ops.interface import Array
from memcom_tf.optimizers.gradients import scalar, sum_duplicates, wide, with_values
from memcom_tf.optimizers.hooks import Keras3Hooks, Pairs, TfKerasHooks, as_tf_variable

Rule = Callable[[Array, Sequence[Array], Array, Array], tuple[Array, Sequence[Array]]]
"""`(value, slots, gradient, hyper)` to the new value and slots; see `SparseOptimizer.rule`."""

RULES: dict[str, Rule] = {}
"""Every update rule by name, which is that of its kernel."""


def register_rule(rule: Rule) -> Rule:
    """Function decorator: enters an update rule into `RULES`."""
    RULES[rule.__name__] = rule
    return rule


def decayed(value: Array, hyper: Array) -> Array:
    """The value after weight decay, whose factor is the last of every rule's `hyper`."""
    return value - hyper[-1] * value


_Hooks: Any = Keras3Hooks if is_keras_3 else TfKerasHooks


class SparseOptimizer(_Hooks):
    """Base class of optimizers that, for sparse gradients, touch only the rows in them.

    The gradient of a lookup is a `tf.IndexedSlices`: rows, and what to add to them. Keras' own
    Adam, for one, still reads and writes the whole table and both its moments for it. Here a step
    costs what its rows cost: value and slots of a row without a gradient stay as they are, bit by
    bit. This serves every layer of this package and `keras.layers.Embedding`. Dense gradients
    are updated as Keras does.

    What the arguments of Keras' optimizers mean here:

    - `weight_decay` is decoupled, `value -= learning_rate * weight_decay * value`, and part of the
      update: a row that has no gradient does not decay.
    - `clipnorm`, `global_clipnorm`, `clipvalue` clip exactly what the dense gradient would be;
      the result is sparse.
    - `gradient_accumulation_steps` (Keras 3) accumulates in whole tables, which makes the
      gradient dense. `use_ema`, and constraints of variables, cost a pass over the table.
    - `loss_scale_factor`, learning-rate schedules and `LossScaleOptimizer` work.
    - Under a strategy of `tf.distribute` gradients are summed over the replicas, sparse ones as
      unique rows, before they are clipped: a step is that of one process on the whole batch.

    Half-precision variables are updated in float32, and their slots are float32: moments and
    accumulators change by less than a half-precision number can hold.

    An optimizer declares `slot_names`, `rule` and `_hyper`, and is combined with Keras' optimizer
    of the same arguments.

    Args:
        *args: Arguments of Keras' optimizer.
        learning_rate_multipliers: Regular expression -> factor on the learning rate of every
            variable in whose path it is found (`re.search`), for example `{"multiplier": 10.0}`.
            Factors of several expressions multiply.
        **kwargs: The same by keyword.

    Raises:
        ValueError: For an expression or a factor that is none; at `build`, for an expression that
            is found in no variable.
    """

    def __init__(
        self,
        *args: Any,
        learning_rate_multipliers: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        for pattern, factor in (learning_rate_multipliers or {}).items():
            _check_multiplier(pattern, factor)
        super().__init__(*args, **kwargs)
        # As pairs: Keras would wrap a dictionary into one of its own.
        self._multipliers = tuple((learning_rate_multipliers or {}).items())

    # What an optimizer declares.

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the slots of a variable, in the order in which the rule takes them."""
        raise NotImplementedError

    @property
    def rule(self) -> Rule:
        """The update rule: a pure function, for whole variables and for rows alike.

        It takes `(value, slots, gradient, hyper)`, tensors of one dtype, all of the gradient's
        shape but `hyper`, and returns the new value and slots. Its name is that of the kernel.
        """
        raise NotImplementedError

    def _hyper(self, learning_rate: Array) -> tuple[Any, ...]:
        """What the rule takes as `hyper`, without the decay, which is the last."""
        raise NotImplementedError

    def _slot_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of every slot of a variable of that shape."""
        return shape

    def _slot_start(self) -> float:
        """The value that slots start with."""
        return 0.0

    # What every optimizer gets.

    @property
    def learning_rate_multipliers(self) -> dict[str, float] | None:
        """The factors on the learning rate, as they were passed."""
        return dict(self._multipliers) or None

    def slots_of(self, variable: Any) -> list[Any]:
        """The slots of a variable as `tf.Variable`s, in the order of `slot_names`."""
        return [as_tf_variable(slot) for slot in self._slots[self._index_of(variable)]]

    def hyper_of(self, variable: Any, learning_rate: Any) -> Array:
        """What the rule takes as `hyper` for this variable and step.

        Args:
            variable: A variable that the optimizer was built with.
            learning_rate: The learning rate of the step.

        Returns:
            A vector, float32 (float64 for variables of that dtype). The last is the factor of
            decay: the variable's learning rate times `weight_decay`, or 0.
        """
        dtype = wide(variable.dtype)
        rate = tf.cast(learning_rate, dtype) * self._factors[self._index_of(variable)]
        decays = self.weight_decay and self._use_weight_decay(variable)
        decay = rate * self.weight_decay if decays else 0.0
        return tf.stack([scalar(x, dtype) for x in (*self._hyper(rate), decay)])

    def update_step(self, gradient: Array | None, variable: Any, learning_rate: Any = None) -> None:
        """Updates one variable and its slots.

        Args:
            gradient: Dense, sparse with any number of slices a row, or None for no update.
            variable: A variable that the optimizer was built with.
            learning_rate: The learning rate of the step; None takes the current one.
        """
        if gradient is None:
            return
        variable = as_tf_variable(variable)
        slots = self.slots_of(variable)
        if learning_rate is None:
            learning_rate = self.learning_rate
        hyper = self.hyper_of(variable, learning_rate)
        if isinstance(gradient, tf.IndexedSlices) and _uses_native(variable, slots):
            from memcom_tf.kernels import native

            table, *states = map(of_this_replica, (variable, *slots))
            native.sparse_update(self.rule.__name__, table, states, gradient, hyper)
        else:
            update(self.rule, variable, slots, gradient, hyper)

    def _update_jointly(self, pairs: Pairs, learning_rate: Any) -> Pairs:
        """Updates what one operation can update, of all the pairs of a step, untouched.

        The tables of a lookup are, together with their gradients. It is not called under
        a `tf.distribute` strategy, whose replicas have gradients of their own.

        Args:
            pairs: (gradient, `tf.Variable`) of every variable that has a gradient.
            learning_rate: The learning rate of the step.

        Returns:
            The pairs, with None for the gradient of what was updated here.
        """
        rest = list(pairs)
        for lookup_gradient, numbers in _whole_lookups(pairs):
            tables = [pairs[number][1] for number in numbers]
            slots = [self.slots_of(table) for table in tables]
            if all(map(_uses_native, tables, slots)):
                hyper = tf.stack([self.hyper_of(table, learning_rate) for table in tables])
                lookup_gradient.update(self.rule.__name__, slots, hyper)
                for number in numbers:
                    rest[number] = (None, pairs[number][1])
        return rest

    def _create_slots(self, variables: Sequence[Any]) -> None:
        paths = [_path(variable) for variable in variables]
        self._factors = tuple(
            math.prod(factor for pattern, factor in self._multipliers if re.search(pattern, path))
            for path in paths
        )
        for pattern, factor in self._multipliers:
            if not any(re.search(pattern, path) for path in paths):
                raise invalid(
                    "Every expression of `learning_rate_multipliers` must be found in a variable.",
                    f"The variables are: {', '.join(paths)}.",
                    expression=pattern,
                    factor=factor,
                )
        self._slots = [
            [self._create_slot(variable, path, name) for name in self.slot_names]
            for variable, path in zip(variables, paths, strict=True)
        ]

    def _create_slot(self, variable: Any, path: str, name: str) -> Any:
        strategy = self._distribution_strategy
        with strategy.extended.colocate_vars_with(as_tf_variable(variable)):
            return self.add_variable(
                shape=self._slot_shape(tuple(variable.shape)),
                dtype=wide(tf.as_dtype(variable.dtype)).name,
                initializer=keras.initializers.Constant(self._slot_start()),
                name=f"{path.replace('/', '_')}_{name}",
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate_multipliers": self.learning_rate_multipliers,
        }


def update(rule: Rule, variable: Any, slots: Sequence[Any], gradient: Array, hyper: Array) -> None:
    """Updates a variable and its slots in plain TensorFlow.

    Args:
        rule: The update rule.
        variable: `tf.Variable`.
        slots: Its slots, `tf.Variable`s.
        gradient: A tensor, which updates everything, or `tf.IndexedSlices`, which update their
            rows; slices of the same row are summed.
        hyper: What the rule takes; its dtype is that of the computation.
    """
    if isinstance(gradient, tf.IndexedSlices):
        slices = with_values(gradient, lambda values: tf.cast(values, hyper.dtype))
        slices = sum_duplicates(slices)
        gradient, rows = slices.values, slices.indices
        state = [tf.gather(part, rows) for part in (variable, *slots)]
    else:
        gradient, rows = tf.cast(gradient, hyper.dtype), None
        state = [tf.convert_to_tensor(part) for part in (variable, *slots)]
    value, *before = (tf.cast(part, hyper.dtype) for part in state)
    value, after = rule(value, before, gradient, hyper)
    for part, new in zip((variable, *slots), (value, *after), strict=True):
        new = tf.cast(new, part.dtype)
        if rows is None:
            part.assign(new)
        else:
            part.scatter_update(tf.IndexedSlices(new, rows))


def _whole_lookups(pairs: Pairs) -> list[tuple[Any, list[int]]]:
    """Gradients of lookups that can update all their tables, and the pair of each table."""
    lookups: dict[int, tuple[Any, dict[int, int]]] = {}
    for number, (gradient, _) in enumerate(pairs):
        lookup_gradient: Any = getattr(gradient, "lookup_gradient", None)
        if gradient is not None and lookup_gradient and lookup_gradient.updates_in_place:
            _, tables = lookups.setdefault(id(lookup_gradient), (lookup_gradient, {}))
            tables[gradient.table] = number
    return [
        (lookup_gradient, [tables[table] for table in range(lookup_gradient.num_tables)])
        for lookup_gradient, tables in lookups.values()
        if len(tables) == lookup_gradient.num_tables
    ]


def _uses_native(variable: Any, slots: Sequence[Any]) -> bool:
    # The kernels know no float64: not a matter for a warning, which tables of that dtype gave.
    if wide(variable.dtype) != tf.float32:
        return False
    return selection.uses_native([variable, *slots], training=True)


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", None) or variable.name.split(":")[0])


def _check_multiplier(pattern: str, factor: float) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise invalid(
            "Every key of `learning_rate_multipliers` must be a regular expression.",
            f"It is not: {error}.",
            expression=pattern,
        ) from error
    if not (factor >= 0 and math.isfinite(factor)):
        raise invalid(
            "Every factor of `learning_rate_multipliers` must be a number of 0 or more.",
            expression=pattern,
            factor=factor,
        )
