"""The variables of a layer whose tables a method declares: made, read, set, stored and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.errors import invalid
from memcom_tf.kernels.sketches import insert
from memcom_tf.layers.contract.initializers import initializer_of
from memcom_tf.layers.contract.method import Adaptation, Method
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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._variables_by_name: dict[str, Any] = {}
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
        super().build(input_shape)

    def table_values(self) -> dict[str, np.ndarray]:
        """The tables by name: float32, codes and masks uint8, indices int32."""
        if not self.built:
            self.build(None)
        return {
            table.name: table.checked(np.asarray(self._variables_by_name[table.name]))
            for table in self.tables()
        }

    def assign_tables(self, tables: Tables) -> None:
        """Sets the tables, given as arrays by name.

        Raises:
            ValueError: If a shape is wrong or a code out of range; then none is set.
        """
        checked = {table.name: table.checked(tables[table.name]) for table in self.tables()}
        for name, variable in self._variables_by_name.items():
            variable.assign(checked[name])

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
        return change

    def variable(self, name: str) -> Any:
        """The Keras variable of a table."""
        return self._variables_by_name[name]

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
        folded = self.fold(ReferenceOps(), self._tf_variables())
        for table in self.stored_tables():
            if table.name in self.storage and table.storage != FLOAT32:
                folded[table.name] = RoundedTable(folded[table.name], table)
        return folded

    def _tf_variables(self, ships: bool = False) -> Tables:
        """The variables by name; with `ships` without those for training alone."""
        return {
            name: variable if isinstance(variable, tf.Variable) else variable.value
            for name, variable in self._variables_by_name.items()
            if not ships or name not in self._for_training
        }

    @property
    def num_parameters(self) -> int:
        """Number of values that are trained."""
        return sum(table.parameters for table in self.tables() if table.trainable)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the tables in the layer's variable dtype; codes in the bits that they take."""
        size = tf.as_dtype(self.variable_dtype).size
        return sum(table.num_bytes(size) for table in self.tables())

    @property
    def compression_ratio(self) -> float:
        """Bytes of a plain table in float32 over those of what ships, unquantized but for codes."""
        shipped = (table.num_bytes(4) for table in self.ships_as().tables() if table.ships)
        return 4 * self.input_dim * self.output_dim / sum(shipped)
