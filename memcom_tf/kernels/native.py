"""The fused kernels as TensorFlow sees them: lookups, their gradients, and updates of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import auto_control_deps_utils
from tensorflow.python.ops import resource_variable_ops

from memcom_tf.errors import message
from memcom_tf.kernels import selection
from memcom_tf.kernels.program import Program
from memcom_tf.ops.interface import Array
from memcom_tf.ops.slices import SummedSlices

# Otherwise every lookup of a table would wait for the one before.
for _name in ("LookupAndSnapshot", "Lookup", "LookupGradient", "LookupWeightsGradient"):
    auto_control_deps_utils.register_read_only_resource_op(f"Memcom>{_name}")


@tf.autograph.experimental.do_not_convert
def look_up(
    program: Program,
    tables: dict[str, tf.Variable],
    ids: Array,
    weights: Array | None,
    combiner: str | None,
    mask_zero: bool,
) -> Array:
    """Looks up vectors and pools them in one pass.

    Args:
        program: What the layer's `lookup` computes.
        tables: The layer's variables by name: float32, bfloat16 or float16, and codes, which are
            uint8 or int32. Sums are float32.
        ids: int32 or int64, dense or ragged. An id outside the vocabulary raises
            `tf.errors.InvalidArgumentError`, which names it, and so does a code beyond its book.
        weights: Weights of the ids, of their shape, or None.
        combiner: None, or how the last axis is pooled, as `memcom_tf.ops.reference.combine` does.
        mask_zero: Whether id 0 is left out of the pooling.

    Returns:
        Vectors in float32. The gradient of every table is `tf.IndexedSlices` with unique rows,
        summed in one order, whatever the number of threads. It is that at the weights which the
        lookup saw, whatever they are when it is read or applied.
    """
    ragged = isinstance(ids, tf.RaggedTensor)
    pooled = combiner is not None
    inputs = [tables[name] for name in program.tables]
    for table in inputs:
        resource_variable_ops.variable_accessed(table)
    vectors, _ = _ops().memcom_lookup_and_snapshot(
        tables=[table.handle for table in inputs],
        codes=[tables[name].handle for name in program.codes],
        ids=ids.flat_values if ragged else ids,
        row_splits=tf.cast(ids.row_splits, tf.int64)
        if ragged and pooled
        else tf.zeros([0], tf.int64),
        weights=tf.zeros([0], tf.float32)
        if weights is None
        else tf.cast(weights.flat_values if ragged else weights, tf.float32),
        T=inputs[0].dtype,
        program=list(program.code),
        constants=list(program.constants),
        output_dim=program.output_dim,
        combiner=combiner or "none",
        ragged=ragged and pooled,
        weighted=weights is not None,
        mask_zero=mask_zero,
        updates_in_place=program.updates_in_place,
    )
    if program.projection is not None:
        projection = tf.cast(tables[program.projection], tf.float32)
        vectors = tf.tensordot(vectors, projection, axes=1)
    return ids.with_flat_values(vectors) if ragged and not pooled else vectors


@tf.autograph.experimental.do_not_convert
def sparse_update(
    rule: str,
    variable: tf.Variable,
    states: Sequence[tf.Variable],
    gradient: tf.IndexedSlices,
    hyper: Array,
) -> Any:
    """Updates the rows of a gradient in place.

    Args:
        rule: "adam", "adagrad", "rowwise_adagrad", "sgd", "momentum" or "nesterov", as
            `memcom_tf.optimizers` defines them.
        variable: The table.
        states: The optimizer's variables for it.
        gradient: Slices; rows that come more than once are summed.
        hyper: The rule's hyper-parameters, float32.

    Returns:
        The operation, or None when executed eagerly.
    """
    return _ops().memcom_sparse_update(
        table=variable.handle,
        states=[state.handle for state in states],
        indices=gradient.indices,
        values=tf.cast(gradient.values, variable.dtype),
        hyper=hyper,
        rule=rule,
        unique=isinstance(gradient, SummedSlices),
    )


class LookupGradient:
    """The gradient of one lookup: written as slices, or applied to the tables directly.

    It is computed late, and yet at the weights of the lookup: the op hands on a snapshot, which
    shares the buffers of the tables. Whoever changes a table meanwhile writes to a copy. Once the
    gradient has been computed the snapshot is let go, so that nothing is copied in a plain step.

    Attributes:
        num_tables: Number of tables.
    """

    def __init__(self, op: Any, gradient: Array) -> None:
        self.num_tables = int(op.get_attr("N"))
        self._tables = list(op.inputs[: self.num_tables])
        batch = op.inputs[self.num_tables + int(op.get_attr("M")) :]
        self._inputs: dict[str, Any] | None = dict(
            zip(("ids", "row_splits", "weights"), batch, strict=True),
            snapshot=op.outputs[1],
            gradient=gradient,
        )
        names = ("T", "program", "constants", "output_dim", "combiner", "ragged", "weighted")
        self._attributes = {
            name: op.get_attr(name) for name in (*names, "mask_zero", "updates_in_place", "M")
        }
        # By graph: a tensor of one branch of a conditional cannot be used in the other.
        self._slices: dict[Any, list[tuple[Array, Array]]] = {}
        self._updates: dict[Any, Any] = {}
        self._uses = _uses_of(op.outputs[1])

    @property
    def updates_in_place(self) -> bool:
        """Whether `update` may be used here and now.

        It overwrites what the gradient is of. Eagerly nobody can tell whether the gradient will be
        read, or asked for again, and where it has been read its slices are at hand.
        """
        here = _graph()
        used = here is None or here in self._slices or here in self._uses.updates
        return bool(self._attributes["updates_in_place"]) and not used

    def shape(self, table: int) -> tf.TensorShape:
        """The shape of a table."""
        data = resource_variable_ops.get_eager_safe_handle_data(self._tables[table])
        return tf.TensorShape(data.shape_and_type[0].shape)

    @property
    def dtype(self) -> tf.DType:
        """The tables' type."""
        return tf.as_dtype(self._attributes["T"])

    def slices(self, table: int) -> tuple[Array, Array]:
        """Row numbers `[n]`, each once, and rows `[n, width]` of a table's gradient."""
        here = _graph()
        # What was computed eagerly serves any graph.
        kept = self._slices.get(None) or self._slices.get(here)
        if kept is None:
            assert self._inputs is not None
            found = _ops().memcom_lookup_snapshot_gradient(
                N=self.num_tables, **self._inputs, **self._attributes
            )
            kept = self._slices[here] = list(zip(found.indices, found.values, strict=True))
            if here is None:
                # Whoever updates the tables now need not copy them.
                self._inputs = None
            else:
                self._read_by(found.indices[0].op)
        return kept[table]

    def by_weights(self) -> Array:
        """The gradient of the weights."""
        assert self._inputs is not None
        found = _ops().memcom_lookup_snapshot_weights_gradient(
            N=self.num_tables, **self._inputs, **self._attributes
        )
        if _graph() is not None:
            self._read_by(found.op)
        return found

    def _read_by(self, op: Any) -> None:
        """Keeps what an op reads from being overwritten by the update."""
        self._uses.readers.append(op)
        update = self._uses.updates.get(op.graph)
        if update is None:
            return
        if op.graph in self._updates:
            update._add_control_input(op)
        else:
            # Of another gradient of the lookup (a persistent tape has several): what this one is
            # made of may come after the update, which then must not write to what it read.
            update._set_attr("updates_in_place", tf.compat.v1.AttrValue(b=False))

    def update(self, rule: str, states: Sequence[Sequence[tf.Variable]], hyper: Array) -> None:
        """Updates every table in the op that computes the gradient, which is never written down.

        Args:
            rule: As in `sparse_update`.
            states: The optimizer's variables for each table.
            hyper: Hyper-parameters `[tables, n]` of each table, float32.
        """
        assert self._inputs is not None
        with tf.control_dependencies(self._uses.readers):
            update = _ops().memcom_lookup_snapshot_update(
                tables=self._tables,
                **self._inputs,
                states=[state.handle for of_table in states for state in of_table],
                hyper=hyper,
                rule=rule,
                **self._attributes,
            )
        self._updates[_graph()] = self._uses.updates[_graph()] = update


class _Uses:
    """Who reads a snapshot, and who overwrites it, in the graphs that are being made."""

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.updates: dict[Any, Any] = {}


def _uses_of(snapshot: Array) -> _Uses:
    """What all gradients of a lookup share."""
    if not hasattr(snapshot, "memcom_uses"):
        snapshot.memcom_uses = _Uses()
    uses: _Uses = snapshot.memcom_uses
    return uses


def _graph() -> Any | None:
    """The graph that is being made, or None eagerly."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


class PendingSlices(SummedSlices):
    """Slices of a lookup's gradient with unique rows, computed when they are first read.

    An op that reads a variable runs even if nothing uses its result. Whoever can do with the
    recipe, `lookup_gradient`, therefore never pays for the slices.
    """

    def __init__(self, lookup_gradient: LookupGradient, table: int) -> None:
        self.lookup_gradient = lookup_gradient
        self.table = table
        self._pending_shape = lookup_gradient.shape(table)

    @property
    def indices(self) -> Array:
        """Row numbers, int64."""
        return self.lookup_gradient.slices(self.table)[0]

    @property
    def values(self) -> Array:
        """Rows."""
        return self.lookup_gradient.slices(self.table)[1]

    @property
    def dense_shape(self) -> Array:
        """Shape of the table."""
        return tf.constant(self._pending_shape.as_list(), self._shape_dtype)

    @property
    def _shape_dtype(self) -> tf.DType:
        # As TensorFlow's own, with which the other branch of a conditional has to agree.
        return tf.int32 if max(self._pending_shape) < 2**31 else tf.int64

    @property
    def shape(self) -> tf.TensorShape:
        """Shape of the table."""
        return self._pending_shape

    @property
    def dtype(self) -> tf.DType:
        """Type of the rows."""
        return self.lookup_gradient.dtype

    @property
    def name(self) -> str:
        """A name, as tensors have."""
        return "pending_slices"

    @property
    def device(self) -> str:
        """Where the rows are."""
        return self.values.device

    @property
    def op(self) -> Any:
        """The op that computes the rows."""
        return self.values.op

    @property
    def graph(self) -> Any:
        """The graph of that op."""
        return self.values.graph

    @property
    def _type_spec(self) -> tf.IndexedSlicesSpec:
        return tf.IndexedSlicesSpec(
            shape=self._pending_shape,
            dtype=self.dtype,
            indices_dtype=tf.int64,
            dense_shape_dtype=self._shape_dtype,
        )

    def consumers(self) -> list[Any]:
        """Ops that use the rows; none is known."""
        return []

    def __repr__(self) -> str:
        return f"PendingSlices(shape={self._pending_shape}, dtype={self.dtype.name})"


@tf.RegisterGradient("Memcom>LookupAndSnapshot")
def _gradient_of_lookup(op: Any, gradient: Array, _: Any) -> list[Any]:
    lookup_gradient = LookupGradient(op, gradient)
    tables: list[Any] = [
        PendingSlices(lookup_gradient, table) for table in range(lookup_gradient.num_tables)
    ]
    if isinstance(op, tf.Operation):
        # Not of a tape but of a whole graph, whose results are read when it is no longer at hand.
        tables = [SummedSlices(t.values, t.indices, t.dense_shape) for t in tables]
    weights, num_codes = None, int(op.get_attr("M"))
    if op.get_attr("weighted") and not _is_skipped(op, len(tables) + num_codes + 2):
        weights = lookup_gradient.by_weights()
    return [*tables, *[None] * num_codes, None, None, weights]


@tf.RegisterGradient("Memcom>LookupSnapshotGradient")
@tf.RegisterGradient("Memcom>LookupSnapshotWeightsGradient")
def _no_second_derivative(op: Any, *gradients: Array) -> Any:
    raise NotImplementedError(
        message(
            "A derivative of a fused lookup's gradient is not implemented.",
            "Compute the lookup on plain ops: `with memcom_tf.ops.use('reference'): ...`.",
            op=op.type,
        )
    )


def _is_skipped(op: Any, number: int) -> bool:
    """Whether the tape asked for no gradient of that input; graphs do not say."""
    return number in (getattr(op, "skip_input_indices", None) or ())


def _ops() -> Any:
    library = selection.loaded()
    assert library is not None, "uses_native() is asked first"
    return library
