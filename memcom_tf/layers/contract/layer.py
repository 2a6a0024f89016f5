"""The contract of a compressed embedding: a method declares, this class does the rest once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.errors import invalid, message
from memcom_tf.kernels import selection
from memcom_tf.kernels.placement import of_this_replica
from memcom_tf.kernels.program import Program, program_of
from memcom_tf.layers.contract.drop_in import DropInLayer
from memcom_tf.layers.contract.renaming import taking_renamed
from memcom_tf.layers.contract.steps import checked_names
from memcom_tf.ops import reference
from memcom_tf.ops.interface import Array, Ops, UnsupportedOpError
from memcom_tf.ops.quantization_aware import QuantizationAwareOps
from memcom_tf.ops.sketch import Sketch
from memcom_tf.tables import StorageLike, Tables, check_positive

METHODS: dict[str, type[CompressedEmbedding]] = {}
"""Every registered method by class name, in the order of registration."""

_REFERENCE = reference.ReferenceOps()
_QUANTIZATION_AWARE = QuantizationAwareOps()


@dataclass(frozen=True)
class _Substitute:
    layer: CompressedEmbedding
    ops: Ops
    tables: Tables
    prepare_ids: Callable[[Array], Array]


Registered = TypeVar("Registered", bound="type[CompressedEmbedding]")


def register_method(cls: Registered) -> Registered:
    """Class decorator: enters a method into `METHODS` and into Keras' serialization registry."""
    METHODS[cls.__name__] = cls
    return keras.saving.register_keras_serializable("memcom_tf")(cls)


class CompressedEmbedding(DropInLayer):
    """Base class of the layers that replace `keras.layers.Embedding`.

    A method declares `tables` and `lookup`; where it is cheap also `lookup_scores`, where another
    thing ships than was trained also `ships_as` and `fold`, where training computes something else
    `train_lookup`, where tables change between its steps `adapt`, where there is a closed form for
    it `approximate`, and its size by `size_argument` and `size_range`. They are pure functions of
    named tables, so that the same lines run as the Keras layer, as the NumPy oracle and as the
    graph over int8 tables that the converter writes.

    Args:
        input_dim: Size of the vocabulary, largest id + 1.
        output_dim: Width of an embedding.
        embeddings_initializer: Initializer of the composed vectors: they have the variance that
            it would give a plain table, however they are composed.
        embeddings_regularizer: Regularizer of every table that holds parts of vectors; scalars
            of an id (MEmCom's multiplier) are left out.
        embeddings_constraint: Constraint on the same tables.
        mask_zero: Whether id 0 is padding: masked in the output, left out by `combiner`.
        weights: Initial vectors, `[input_dim, output_dim]`, or a list of that one array, as
            `keras.layers.Embedding` takes them. A method that has no row for each id starts from
            what comes nearest to them, as `from_table` finds it.
        combiner: None returns a vector for every id; "sum", "mean" and "sqrtn" pool the last
            axis of the ids, as `keras_rs.layers.EmbedReduce` does (1-D ids are not pooled).
        storage: How tables of `ships_as()` are stored in a file, by name, where not as the method
            declares: "int2_per_row", "int4_per_table" and so on, as `memcom_tf.tables.Storage`
            lists them. With 4 and 2 bits no level is 0, as suits dense values, or one is, with
            "int4_midtread_per_row" and its like.
        quantization_aware: Whether the layer computes with the values that `storage` leaves of
            the tables named there, in training and after, so that what is trained is what is
            stored. Gradients pass the rounding as if it were not there. Plain ops do it.
        learned_steps: Whether the scales of tables that `storage` names in 4 or 2 bits are trained
            too, by the gradients of learned step size quantization (Esser et al., ICLR 2020,
            arXiv:1902.08153): of all that it names, or of those named here. Else they are those
            of least squares at every step, which trained ones start from. Values beyond the levels
            get no gradient. `memcom_tf.ops.learned_steps.rounded_by` has the formulas.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Dense ids of any shape, ragged `[b, (L)]` ids or sparse ones; integers. Where sparse
            ids are missing, id 0 is looked up, and with `combiner` nothing.
        weights: Weight of every id in its bag, of the ids' shape; only with `combiner`.
        training: Whether this is a step of training, which Keras says by itself. Training runs
            on the fused ops where they can be had (`memcom doctor`), inference, which is what
            gets exported, on plain ones. A recording `tf.GradientTape` is training as well.

    Returns of a call:
        `inputs.shape + [output_dim]`, without the last axis of the ids where it is pooled.

    Raises:
        ValueError: For arguments out of range, by name.
        NotImplementedError: For `weights` of a method that can only be trained, and for a `dtype`
            of Keras' quantization.
        tf.errors.InvalidArgumentError: For an id outside `[0, input_dim)`, naming it, eagerly and
            in graphs. XLA cannot raise: under `jit_compile=True` the whole output is NaN.
    """

    __signature__: ClassVar[inspect.Signature]

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        combiner: str | None = None,
        storage: Mapping[str, StorageLike] | None = None,
        quantization_aware: bool = True,
        learned_steps: bool | Sequence[str] = False,
        **kwargs: Any,
    ) -> None:
        check_positive(input_dim=input_dim, output_dim=output_dim)
        if combiner is not None and combiner not in reference.COMBINERS:
            raise invalid(
                f"`combiner` must be None or one of {reference.COMBINERS}.", combiner=combiner
            )
        # Autocasting would convert whole tables at every step; `call` casts what it looked up.
        super().__init__(**{"autocast": False, **kwargs})
        self.input_dim = int(input_dim)
        self.output_dim = int(output_dim)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = keras.constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.combiner = combiner
        self.storage = {name: str(stored) for name, stored in (storage or {}).items()}
        self.quantization_aware = quantization_aware
        if self.computes_as_stored and self._trains_apart:
            raise invalid(
                f"`quantization_aware` of {type(self).__name__}, which computes something else in "
                "training, must be False where there is a `storage`.",
                quantization_aware=True,
            )
        self.learned_steps = checked_names(
            learned_steps, self.storage, quantization_aware=self.quantization_aware
        )
        self._substitute: _Substitute | None = None
        self._program: Program | None = None
        self._refuse_quantized_dtype()
        self._initial_table = self._checked_initial_table(weights)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Shows a method's arguments behind the ones that it hands on through `*args`."""
        super().__init_subclass__(**kwargs)
        if cls.renamed_arguments and "__init__" in vars(cls):
            cls.__init__ = taking_renamed(cls.__init__, cls.renamed_arguments)  # type: ignore[method-assign]
        inherited = inspect.signature(CompressedEmbedding).parameters
        own = inspect.signature(cls.__init__).parameters
        new = [p.name for p in own.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
        if new := [name for name in new if name not in ("self", *inherited)]:
            raise TypeError(
                message(
                    f"A method's own arguments must be keyword-only, as {cls.__name__} is called "
                    "with the arguments of every embedding first.",
                    "Declare `def __init__(self, *args, size, **kwargs)`.",
                    arguments=new,
                )
            )
        named = {**inherited, **own}
        cls.__signature__ = inspect.Signature(
            sorted(
                (p for p in named.values() if p.name != "self" and p.kind != p.VAR_POSITIONAL),
                key=lambda parameter: parameter.kind,
            )
        )

    @contextmanager
    def substituted(
        self,
        layer: CompressedEmbedding,
        ops: Ops,
        tables: Tables,
        prepare_ids: Callable[[Array], Array] = tf.identity,
    ) -> Iterator[None]:
        """Computes with other tables, and operations that understand them, meanwhile.

        This is how a model is traced, or evaluated, with the tables that ship.

        Args:
            layer: What `ships_as()` returned.
            ops: Operations over `tables`.
            tables: The tables by name.
            prepare_ids: What is done to ids before they are looked up; they are not checked.
        """
        substitute = _Substitute(layer, ops, tables, prepare_ids)
        self._substitute, before = substitute, self._substitute
        try:
            yield
        finally:
            self._substitute = before

    def _source(self) -> tuple[CompressedEmbedding, Ops, Tables]:
        if self._substitute is not None:
            return self._substitute.layer, self._substitute.ops, self._substitute.tables
        if self.computes_as_stored:
            return self.ships_as(), _QUANTIZATION_AWARE, self._rounded_tables()
        return self, _REFERENCE, self._tf_variables(ships=True)

    @property
    def supports_jit(self) -> bool:
        """Whether XLA may compile the model: not where the fused ops train this layer."""
        tables = self._trained_variables
        return (
            self._may_be_compiled
            and self.trains_under_xla
            and (
                self.computes_as_stored
                or self._trains_apart
                or not selection.uses_native(tables, training=True)
            )
        )

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        self._may_be_compiled = value

    def call(self, inputs: Array, weights: Array | None = None, training: Any = None) -> Array:
        """Looks up, and pools where a `combiner` is set."""
        if isinstance(inputs, tf.SparseTensor):
            inputs, weights = self._without_sparse(inputs, weights)
        ids = reference.as_ids(inputs, self.input_dim)
        if weights is not None:
            if self.combiner is None:
                raise invalid("`weights` are for pooling.", "Set `combiner`.", combiner=None)
            weights = reference.as_weights(weights, ids, self.compute_dtype)
        if ids.shape.rank == 1 and not isinstance(ids, tf.RaggedTensor):
            # One id a bag: its weight matters to the sum and cancels in the others.
            vectors = self._look_up(ids, None, None, training)
            if weights is None or self.combiner != "sum":
                return vectors
            return vectors * weights[:, None]
        return self._look_up(ids, weights, self.combiner, training)

    def _look_up(
        self, ids: Array, weights: Array | None, combiner: str | None, training: Any
    ) -> Array:
        if self.adapts_every:
            self._require_adaptation(training)
        program = None if self._substitute is not None else self._fused_program(training)
        if program is not None:
            from memcom_tf.kernels import native

            tables = {name: of_this_replica(table) for name, table in self._tf_variables().items()}
            vectors = native.look_up(program, tables, ids, weights, combiner, self.mask_zero)
            return tf.cast(vectors, self.compute_dtype)
        ragged = isinstance(ids, tf.RaggedTensor)
        vectors = self._vectors(ids.flat_values if ragged else ids, training)
        if ragged:
            vectors = ids.with_flat_values(vectors)
        if combiner is None:
            return vectors
        if self.mask_zero:
            known = tf.cast(ids != 0, self.compute_dtype)
            weights = known if weights is None else weights * known
        return reference.combine(vectors, weights, combiner)

    def _vectors(self, ids: Array, training: Any) -> Array:
        layer, ops, tables = self._source()
        if self._substitute is not None:
            ids = self._substitute.prepare_ids(ids)
            return tf.cast(layer.lookup(ops, ids, tables), self.compute_dtype)
        ids, any_outside = reference.check_ids(ids, self.input_dim)
        if self._computes_apart(training):
            vectors = self._looked_up_in_training(ids)
        else:
            vectors = layer.lookup_many(ops, ids, tables)
        return tf.cast(reference.poison(vectors, any_outside), self.compute_dtype)

    def _computes_apart(self, training: Any) -> bool:
        """Whether it is `train_lookup` that computes: not where Keras says that it is inference."""
        return self._trains_apart and training is not False and selection.is_training(training)

    @tf.autograph.experimental.do_not_convert
    def _looked_up_in_training(self, ids: Array) -> Array:
        found = self.train_lookup(_REFERENCE, ids, self._tf_variables())
        for name, (rows, count) in found.counts.items():
            self._count(name, rows, count)
        if found.loss is not None:
            (self._take_loss or self.add_loss)(found.loss)
        return (
            self._with_counted_norms(found.vectors, found.norms) if found.norms else found.vectors
        )

    def _with_counted_norms(self, vectors: Array, norms: Mapping[str | Sketch, Array]) -> Array:
        """The vectors, whose gradients are counted on their way back."""

        @tf.custom_gradient
        def counted(x: Array) -> tuple[Array, Callable[[Array], Array]]:
            def gradient(upstream: Array) -> Array:
                length = tf.norm(tf.cast(upstream, tf.float32), axis=-1, keepdims=True)
                length = tf.math.divide_no_nan(length, tf.reduce_mean(length))
                for name, rows in norms.items():
                    self._count(name, rows, length)
                return upstream

            return tf.identity(x), gradient

        return counted(vectors)

    @contextmanager
    def collected_losses(self, losses: list[Array]) -> Iterator[None]:
        """Has what lookups add to the loss in `losses` meanwhile, for a step of one's own.

        Keras keeps them for the outermost layer that is called: a step that calls a layer
        itself, twice, would see those of the second call.
        """
        self._take_loss, before = losses.append, self._take_loss
        try:
            yield
        finally:
            self._take_loss = before

    @tf.autograph.experimental.do_not_convert
    def _require_adaptation(self, training: Any) -> None:
        if not self.is_adapted and training is not False and selection.is_training(training):
            selection.warn_once(
                f"{type(self).__name__} is not adapted",
                f"{type(self).__name__} changes its tables between steps of training, which "
                "nobody tells it of. Pass `callbacks=[memcom_tf.training.AdaptTables()]` to `fit`.",
            )

    @tf.autograph.experimental.do_not_convert
    def _fused_program(self, training: Any) -> Program | None:
        """What the fused ops run, where it is they who run."""
        if self.computes_as_stored or not selection.uses_native(
            self._trained_variables, training=training
        ):
            return None
        if self._computes_apart(training):
            return None
        if self._program is None:
            try:
                self._program = program_of(self)
            except UnsupportedOpError as error:
                selection.warn_once(
                    type(self).__name__,
                    f"{type(self).__name__} trains with plain TensorFlow ops, as its `lookup` is "
                    f"not one for the fused ops: {error}.",
                )
        return self._program

    def score_all(self, query: Array) -> Array:
        """Scores of the whole vocabulary, without building the dense table.

        `scores[b, i] = sum_d query[b, d] * vector(i)[d]`. The same table then serves as the input
        and as the (tied) output side of a model.

        Args:
            query: `[b, output_dim]` floats.

        Returns:
            `[b, input_dim]` in the layer's compute dtype.
        """
        if not self.built:
            self.build(None)
        query = tf.cast(query, self.variable_dtype)
        knows_better = type(self).lookup_scores is not CompressedEmbedding.lookup_scores
        if self._substitute is None and self._computes_apart(None) and not knows_better:
            # Gradients should reach what `train_lookup` lets them reach, by scores too.
            ids = tf.range(self.input_dim)
            vectors = self.train_lookup(_REFERENCE, ids, self._tf_variables()).vectors
            scores = tf.matmul(query, vectors, transpose_b=True)
        else:
            layer, ops, tables = self._source()
            scores = layer.lookup_scores(ops, query, tables)
        return tf.cast(scores, self.compute_dtype)

    def find_top_k(self, query: Array, k: int) -> Array | None:
        """The `k` ids with the largest scores for one query, without scoring the vocabulary.

        Args:
            query: `[1, output_dim]` floats.
            k: How many ids.

        Returns:
            `[k]` ids by falling score, exact; None where the method needs all scores for that.
        """
        layer, ops, tables = self._source()
        return layer.lookup_top_k(ops, tf.cast(query, self.variable_dtype), k, tables)
