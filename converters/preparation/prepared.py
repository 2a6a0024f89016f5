"""A model, checked and taken apart: what the converter writes and the verification compares."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf._version import __version__
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.row_files import load_rows_of
from memcom_tf.errors import for_reader, invalid, message
from memcom_tf.features import Categorical, Features
from memcom_tf.features.tokens import NGRAMS, WORDS
from memcom_tf.layers.contract.finding import find_embeddings
from memcom_tf.tasks import Task, Vectors, task_of
from memcom_tf.text import printable
from memcom_tf.vocabulary import Vocabulary

from ..inputs import Samples
from ..model_file.description import EmbeddingDescription, FieldDescription, FileDescription
from ..quantization.fold import names_of, ship
from ..quantization.quantization_error import QuantizationWarning
from ..quantization.quantize import QuantizedTable
from ..quantization.weights import Profile, Weights, check_profile, check_weights
from ..sources.saved_model import SavedModelSource
from ..sources.source import KerasSource, Source
from ..tracing.signatures import Signatures
from .forms import FORMS, Form, Parts
from .report import describe_embedding, describe_matrix


class Prepared(Parts):
    """A model, its parts, and what follows from them."""

    @property
    def features(self) -> Features | None:
        """The fields of the rows that the model takes, as its attribute `features` says."""
        found = getattr(self.model, "features", None)
        return found if isinstance(found, Features) else None

    @property
    def instead_of_what_is_refused(self) -> str:
        """What to do where TensorFlow Lite has no operator for a layer."""
        loops = [layer for layer in _layers(self.model) if _is_loop(layer)]
        if loops:
            return f"Make the recurrent layer {printable(loops[0].name)!r} with unroll=True."
        return "Replace what computes it by operators that TensorFlow Lite has."

    @cached_property
    def form(self) -> Form:
        """How the model becomes a file."""
        return FORMS[self.task.file_kind](self)

    @cached_property
    def signatures(self) -> Signatures:
        """What the file computes."""
        return self.form.signatures()

    @property
    def tables(self) -> list[QuantizedTable]:
        """Every table that the file stores."""
        found = [table for embedding in self.shipped for table in embedding.tables.values()]
        return [*found, *(matrix.table for matrix in self.form.matrices)]

    @cached_property
    def embeddings(self) -> list[EmbeddingDescription]:
        """Reports on the tables, which take seconds of large ones."""
        return [
            *map(describe_embedding, self.shipped),
            *map(describe_matrix, self.form.matrices),
        ]

    @cached_property
    def losses(self) -> list[str]:
        """Sentences on what quantization loses that nobody would want to lose; warns of each."""
        found = [sentence for embedding in self.shipped for sentence in embedding.losses]
        found += [sentence for matrix in self.form.matrices for sentence in matrix.losses]
        for sentence in found:
            warnings.warn(sentence, QuantizationWarning, stacklevel=4)
        return found

    @property
    def vocabularies_of_fields(self) -> dict[str, Vocabulary]:
        """The vocabularies of the fields that the model takes, by table."""
        return {} if self.features is None else self.features.vocabularies

    @property
    def _fields(self) -> list[FieldDescription] | None:
        """The fields that the model takes, where it says what they are."""
        if self.features is None:
            return None
        known = self.vocabularies_of_fields
        if not all(of.is_hashed or of.table in known for of in self.features.categorical):
            return None
        return [
            *(_described(of, known.get(of.table)) for of in self.features.categorical),
            *(FieldDescription(of.name, "numbers") for of in self.features.numeric),
        ]

    @property
    def _classes(self) -> list[str] | None:
        """Names of the classes whose probabilities the model gives, where it says so."""
        names = getattr(self.model, "classes", None)
        if self._fields is None or not isinstance(names, tuple):
            return None
        return [str(name) for name in names]

    @property
    def _output_dim(self) -> int | None:
        """Width of the vectors that the model gives rows of fields, where it says so."""
        if self._fields is None or not isinstance(self.task, Vectors):
            return None
        return getattr(self.model, "output_dim", None)

    def description(self, *, min_runtime_version: str, scores_in_integers: bool) -> FileDescription:
        """What the file says of itself.

        Args:
            min_runtime_version: What the graph that was written needs.
            scores_in_integers: How it multiplies.
        """
        compressed = sum(embedding.trained.num_parameters for embedding in self.shipped)
        dense = sum(layer.input_dim * layer.output_dim for layer in (e.layer for e in self.shipped))
        own_bytes = sum(embedding.trained.parameter_bytes for embedding in self.shipped)
        parameters = self.source.parameters
        return FileDescription(
            producer=versions()["producer"],
            converter=versions()["converter"],
            name=self.source.name,
            kind=self.form.kind,
            signatures=list(self.signatures),
            vector_signatures=[name for name in self.form.vector_signatures() if name],
            weights=self.weights if isinstance(self.weights, str) else dict(self.weights),
            profile=self.profile,
            parameters=parameters,
            parameter_bytes=4 * (parameters - compressed) + own_bytes,
            uncompressed_parameters=parameters - compressed + dense,
            embeddings=self.embeddings,
            left_as_floats=dict(self.form.left_as_floats),
            inputs="drawn" if self.samples is None else "samples",
            multiplied_in_floats=dict(self.form.multiplied_in_floats),
            warnings=self.losses,
            vocabulary_fingerprint=self.vocabulary and self.vocabulary.fingerprint,
            ranker=self.form.ranker,
            fields=self._fields,
            classes=self._classes,
            output_dim=self._output_dim,
            min_runtime_version=min_runtime_version,
            scores_in_integers=scores_in_integers,
        )


def _described(of: Categorical, vocabulary: Vocabulary | None) -> FieldDescription:
    """What a file says of a field whose values become ids."""
    holds = {None: "categories", WORDS: "text", NGRAMS: NGRAMS}[of.tokenizer]
    fingerprint = None if vocabulary is None else vocabulary.fingerprint
    sizes = of.length, of.separator, of.table, of.input_dim
    return FieldDescription(of.name, holds, *sizes, fingerprint)


def versions() -> dict[str, str]:
    """What decides about the graph of a file, beside its model."""
    return {
        "producer": f"memcom_tf {__version__}",
        "converter": f"tensorflow {tf.__version__}",
    }


def prepare(
    model: Any,
    *,
    weights: Weights,
    profile: Profile,
    inputs: Any,
    k: int,
    samples: Samples = None,
    signatures: Sequence[str] | None = None,
    allow_unsafe_deserialization: bool = False,
    described: FileDescription | None = None,
    task: Task | None = None,
) -> Prepared:
    """Checks a model, and folds and quantizes its tables; arguments are those of `convert`.

    Where there is a choice between ways to store a table, that of the file which `described`
    describes is taken.
    """
    check_weights(weights)
    check_profile(profile)
    task = task or task_of(model)
    samples = _encoded(samples, model)
    if isinstance(model, str | os.PathLike):
        saved = SavedModelSource(model, signatures, allow_unsafe_deserialization)
        prepared = Prepared(None, saved, weights, profile, [], k, samples, described, task)
    else:
        if signatures is not None:
            raise invalid(
                "Signatures must be chosen of a SavedModel.",
                for_reader("Leave `signatures` out.", "Leave --signature out."),
                signatures=signatures,
            )
        embeddings = _checked(model)
        names = [name for embedding in embeddings for name in names_of(embedding)]
        in_file = {} if described is None else described.stored(names)
        shipped = [ship(embedding, weights, profile, in_file) for embedding in embeddings]
        inputs = task.inputs(model) if inputs is None else inputs
        source = KerasSource(model, inputs, task.function(model))
        prepared = Prepared(model, source, weights, profile, shipped, k, samples, described, task)
    if weights != "float32" and not prepared.tables:
        _check_types(prepared.source)
        raise invalid(
            "The model must hold a table that ids are looked up in, or a kernel, to be stored in "
            "integers.",
            "Small ones stay floats: with "
            + for_reader('weights="float32"', "--weights float32")
            + " the model is converted as it is.",
            model=prepared.source.name,
        )
    return prepared


def _encoded(samples: Samples, model: Any) -> Samples:
    """The rows of a file as the inputs of a model that says what their fields are."""
    features = getattr(model, "features", None)
    if not isinstance(features, Features) or not isinstance(samples, str | os.PathLike):
        return samples
    if {"ids", "numbers"} & set(open_columns(samples).names):
        return samples
    separators = {of.name: of.separator for of in features.categorical}
    numeric = [of.name for of in features.numeric]
    texts = [of.name for of in features.categorical if of.tokenizer is not None]
    return features.encode(load_rows_of(samples, separators, numeric, texts=texts))


def _check_types(source: Source) -> None:
    for name, variable in source.variables.items():
        if variable.dtype.is_floating and variable.dtype != tf.float32 and len(variable.shape) > 1:
            raise invalid(
                "Tables must be float32 to be stored in integers.",
                "Build the model again in float32, and copy the weights with `set_weights`.",
                table=name,
                dtype=variable.dtype.name,
            )


def _checked(model: Any) -> list[Any]:
    if not isinstance(model, keras.Model):
        raise TypeError(
            message(
                "The model must be a Keras model or the folder of a SavedModel.",
                for_reader(
                    "Load a .keras file with keras.models.load_model, under the Keras that saved "
                    "it.",
                    "Save a whole model with model.save, under the Keras that memcom runs on.",
                ),
                type=type(model).__name__,
            )
        )
    # What a file describes first is a ranker's catalogue, wherever the model has its table.
    items = getattr(model, "item_embedding", None)
    embeddings = sorted(find_embeddings(model), key=lambda embedding: embedding is not items)
    if not model.built or not all(embedding.built for embedding in embeddings):
        raise invalid(
            "The model must be built.",
            for_reader("Call it once on data.", "Call it once on data before it is saved."),
            model=model.name,
        )
    for layer in [model, *_layers(model)]:
        if layer.compute_dtype in ("float16", "bfloat16"):
            raise invalid(
                "The model must compute in float32, as the runtime does.",
                "Build it again under that policy, and copy the weights with `set_weights`: those "
                "of a mixed policy are float32 already.",
                layer=layer.name,
                compute_dtype=layer.compute_dtype,
            )
    return embeddings


def _is_loop(layer: Any) -> bool:
    return isinstance(layer, keras.layers.RNN) and not layer.unroll


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers()) if hasattr(model, "_flatten_layers") else []
