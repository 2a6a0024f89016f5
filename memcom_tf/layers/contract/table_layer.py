"""The variables of a layer whose tables a method declares: made, read, set, stored and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.errors import invalid
from memcom_tf.kernels.sketches import insert
from memcom_tf.layers.contract.initializers import initializer_of
from memcom_tf.layers.contract.method import Adaptation, Method
from memcom_tf.layers.contract.steps import checked_steps, steps_name, steps_shape
from memcom_tf.ops.learned_steps import in_use
from memcom_tf.ops.quantization import scales_of
from memcom_tf.ops.quantization_aware import RoundedTable
from memcom_tf.ops.reference import ReferenceOps
from memcom_tf.ops.sketch import Sketch
from memcom_tf.tables import FLOAT32, StorageLike, Table, Tables


class TableLayer(Method, keras.layers.Layer):
    """A Keras layer that holds the tables of its method.

    What it takes for them is set by `CompressedEmbedding`, whose arguments these are.
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Any
    embeddings_regularizer: Any
    embeddings_constraint: Any
    storage: dict[str, StorageLike]
    quantization_aware: bool
    learned_steps: bool | list[str]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._variables_by_name: dict[str, Any] = {}
        self._steps_by_name: dict[str, Any] = {}
        self._trained_variables: tuple[Any, ...] = ()
        self._for_training: set[str] = set()
        self._rounded: Tables | None = None
        self._take_loss: Callable[[Any], None] | None = None
        self.is_adapted = False
        """Whether somebody calls `adapt_tables` between the steps of training."""

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables that `tables` declares."""
        self.stored_tables()  # refuses a `storage` that no table can have
        tables = self.tables()
        self._variables_by_name = {}
        self._for_training = {table.name for table in tables if not table.ships}
        uncast = {"autocast" if is_keras_3 else "experimental_autocast": False}
        for index, table in enumerate(tables):
            self._variables_by_name[table.name] = self.add_weight(
                name=table.name,
                shape=(table.rows, table.width),
                initializer=initializer_of(
                    table, index, self.embeddings_initializer, (self.input_dim, self.output_dim)
                ),
                dtype=table.dtype,
                trainable=table.trainable,
                regularizer=self.embeddings_regularizer if table.holds_vectors else None,
                constraint=self.embeddings_constraint if table.holds_vectors else None,
                **uncast,
            )
        self._trained_variables = tuple(
            self._variables_by_name[table.name] for table in tables if table.trainable
        )
        self._steps_by_name = {
            table.name: self.add_weight(
                name=steps_name(table.name),
                shape=steps_shape(table),
                initializer=self._start_of_steps(table),
                trainable=True,
                **uncast,
            )
            for table in self._tables_with_steps()
        }
        super().build(input_shape)

    def table_values(self) -> dict[str, np.ndarray]:
        """The tables by name: float32, codes and masks uint8, indices int32.

        Steps that are trained are among them, `[rows, 1]` or `[1, 1]`, as `{table}_steps`.
        """
        if not self.built:
            self.build(None)
        values = {
            table.name: table.checked(_values(self._variables_by_name[table.name]))
            for table in self.tables()
        }
        return {
            **values,
            **{steps_name(name): steps for name, steps in self.trained_steps().items()},
        }

    def trained_steps(self) -> dict[str, np.ndarray]:
        """The scales that are trained, by the name of the table that is stored by them."""
        return {
            name: in_use(tf.constant(np.asarray(variable))).numpy()
            for name, variable in self._steps_by_name.items()
        }

    def assign_tables(self, tables: Tables) -> None:
        """Sets the tables, given as arrays by name.

        Steps that are trained, but not given, become those of least squares.

        Raises:
            ValueError: If a shape is wrong, a code out of range or a step not positive; then none
                is set.
        """
        checked = {table.name: table.checked(tables[table.name]) for table in self.tables()}
        with_steps = self._tables_with_steps()
        steps = {
            table.name: checked_steps(table, tables[steps_name(table.name)])
            for table in with_steps
            if steps_name(table.name) in tables
        }
        for name, variable in self._variables_by_name.items():
            variable.assign(checked[name])
        for name, variable in self._steps_by_name.items():
            if name in steps:
                variable.assign(steps[name])
        self._restart_steps(table for table in with_steps if table.name not in steps)

    def adapt_tables(self, step: int) -> Adaptation | None:
        """Lets the method change its tables after a step of training.

        Args:
            step: Steps that were trained.

        Returns:
            What changed, if anything did; the state of the optimizer is left to the caller.

        Raises:
            ValueError: If what changed does not fit the tables.
        """
        change = self.adapt(step, self.table_values())
        if change is None:
            return None
        tables = {table.name: table for table in self.tables()}
        for names in (change.tables, change.rows_from):
            if unknown := [name for name in names if name not in tables]:
                raise invalid(f"`adapt` must change tables among {list(tables)}.", names=unknown)
        values = {name: tables[name].checked(value) for name, value in change.tables.items()}
        for name, value in values.items():
            self._variables_by_name[name].assign(value)
        self._restart_steps(table for table in self._tables_with_steps() if table.name in values)
        return change

    def variable(self, name: str) -> Any:
        """The Keras variable of a table, or as `{table}_steps` of its steps that are trained."""
        steps = {steps_name(table): variable for table, variable in self._steps_by_name.items()}
        return {**self._variables_by_name, **steps}[name]

    def _count(self, where: str | Sketch, rows: Any, count: Any) -> None:
        """Adds to rows of a table of statistics, or inserts ids into a sketch."""
        tables = self._tf_variables()
        if isinstance(where, Sketch):
            cells = [tables[name] for name in where.names]
            if all(isinstance(variable, tf.Variable) for variable in cells):
                insert(where, cells, rows, tf.cast(count, tf.float32))
            return
        variable = tables[where]
        if not isinstance(variable, tf.Variable):
            return  # it stands for the variable while Keras infers shapes
        width = variable.shape[-1]
        shape = tf.concat([tf.shape(rows), [width]], axis=0)
        values = tf.broadcast_to(tf.cast(count, variable.dtype), shape)
        added = tf.IndexedSlices(tf.reshape(values, [-1, width]), tf.reshape(rows, [-1]))
        variable.scatter_add(added)

    @property
    def _trains_apart(self) -> bool:
        return type(self).train_lookup is not Method.train_lookup

    @property
    def computes_as_stored(self) -> bool:
        """Whether the layer computes with what `storage` leaves of its tables."""
        return self.quantization_aware and bool(self.storage)

    def stored_tables(self) -> tuple[Table, ...]:
        """The tables of `ships_as()`, stored as they declare or as `storage` says.

        Raises:
            ValueError: If `storage` names no table, or one that cannot be stored so.
        """
        tables = {table.name: table for table in self.ships_as().tables() if table.ships}
        for name, storage in self.storage.items():
            if name not in tables:
                raise invalid(f"`storage` must name tables among {list(tables)}.", name=name)
            tables[name] = tables[name].stored_as(storage)
        return tuple(tables.values())

    @contextmanager
    def rounded_once(self) -> Iterator[None]:
        """Rounds the tables once for all that is looked up meanwhile, where they are rounded.

        A step of training looks the history, the targets and the negatives up: the tables do not
        change in between.
        """
        if not self.computes_as_stored or self._rounded is not None:
            yield
            return
        if not self.built:
            self.build(None)
        self._rounded = self._rounded_tables()
        try:
            yield
        finally:
            self._rounded = None

    def _rounded_tables(self) -> Tables:
        if self._rounded is not None:
            return self._rounded
        return self.as_stored(self.fold(ReferenceOps(), self._tf_variables()))

    def as_stored(self, folded: Tables) -> Tables:
        """The folded tables with a `RoundedTable` in place of those that `storage` names."""
        found = dict(folded)
        for table in self.stored_tables():
            if table.name in self.storage and table.storage != FLOAT32:
                steps = self._steps_by_name.get(table.name)
                steps = steps if steps is None else _tf_variable(steps)
                found[table.name] = RoundedTable(found[table.name], table, steps)
        return found

    def _tables_with_steps(self) -> list[Table]:
        """The stored tables whose scales are trained."""
        if not self.learned_steps:
            return []
        names = self.storage if self.learned_steps is True else self.learned_steps
        return [table for table in self.stored_tables() if table.name in names]

    def _start_of_steps(self, table: Table) -> Callable[..., Any]:
        """An initializer: the scales of least squares of a table as it is."""

        def start(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            values = self.fold(ReferenceOps(), self._tf_variables())[table.name]
            return in_use(scales_of(tf.convert_to_tensor(values), table.storage))

        return start

    def _restart_steps(self, tables: Iterable[Table]) -> None:
        """Sets steps to those of least squares."""
        for table in tables:
            if table.name in self._steps_by_name:
                start = self._start_of_steps(table)
                self._steps_by_name[table.name].assign(start(steps_shape(table)))

    def _tf_variables(self, ships: bool = False) -> Tables:
        """The variables by name; with `ships` without those for training alone."""
        return {
            name: _tf_variable(variable)
            for name, variable in self._variables_by_name.items()
            if not ships or name not in self._for_training
        }

    @property
    def num_parameters(self) -> int:
        """Number of values that are trained."""
        trained = sum(table.parameters for table in self.tables() if table.trainable)
        return trained + self._num_steps

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the tables in the layer's variable dtype; codes in the bits that they take."""
        size = tf.as_dtype(self.variable_dtype).size
        return sum(table.num_bytes(size) for table in self.tables()) + size * self._num_steps

    @property
    def _num_steps(self) -> int:
        return sum(steps_shape(table)[0] for table in self._tables_with_steps())

    @property
    def compression_ratio(self) -> float:
        """Bytes of a plain table in float32 over those of what ships, unquantized but for codes."""
        shipped = (table.num_bytes(4) for table in self.ships_as().tables() if table.ships)
        return 4 * self.input_dim * self.output_dim / sum(shipped)


def _values(variable: Any) -> np.ndarray:
    # A sharded variable is a tensor to TensorFlow, and an object to NumPy.
    sharded = not hasattr(variable, "__array__")
    return np.asarray(tf.convert_to_tensor(variable) if sharded else variable)


def _tf_variable(variable: Any) -> Any:
    """The variable of TensorFlow; a sharded one, of parameter servers, is none of its class."""
    if isinstance(variable, tf.Variable) or not hasattr(variable, "value"):
        return variable
    return variable.value
