"""Any trained Keras model with smaller embeddings in place of its own, without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from memcom_tf.compression.search import ROUNDS, largest_file
from memcom_tf.compression.tables import (
    Approximation,
    approximation_of,
    largest_ratio,
    method_named,
)
from memcom_tf.errors import invalid
from memcom_tf.layers import CompressedEmbedding, FullEmbedding
from memcom_tf.models.rebuilding import is_table, layers_of, table_of, with_layers
from memcom_tf.progress import counted, doing, reporting
from memcom_tf.tasks import task_of

_LEAST_SHARE = 0.01
"""Of the bytes of all embeddings: a smaller one is left alone."""
_LEAST_WIDTH = 5
_SPARE = 0.05
"""Share of the bytes of a file that may be left over."""


@dataclass(frozen=True)
class LayerCompression:
    """What became of an embedding.

    Attributes:
        name: Name of the layer.
        input_dim: Rows of its table.
        output_dim: Width of its table.
        bytes_before: Bytes of the float32 table.
        bytes_after: Bytes of what is stored instead in a file.
        approximation: The layer in its place; None where it was left alone.
        reason: Why it was left alone.
    """

    name: str
    input_dim: int
    output_dim: int
    bytes_before: int
    bytes_after: int
    approximation: Approximation | None = None
    reason: str = ""

    def __str__(self) -> str:
        shape = f"{self.name} {self.input_dim:,} x {self.output_dim}: {self.bytes_before:,} bytes"
        if self.approximation is None:
            return f"{shape}, left alone: {self.reason}"
        parameters = self.approximation.layer.num_parameters
        return (
            f"{shape} -> {self.bytes_after:,} bytes, {parameters:,} parameters, "
            f"{self.approximation.candidate}, {100 * self.approximation.error:.2g} % of the "
            "squared length lost"
        )


@dataclass(frozen=True)
class ModelCompression:
    """A model with smaller embeddings.

    Attributes:
        model: The model.
        layers: What became of each embedding.
        file_bytes: Bytes of its file, where a file of so many bytes was asked for.
    """

    model: Any
    layers: Sequence[LayerCompression] = field(default_factory=list)
    file_bytes: int | None = None

    def __repr__(self) -> str:
        return f"<ModelCompression: {self}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def compress_embeddings(
    model: Any,
    *,
    ratio: float | None = None,
    max_bytes: int | None = None,
    method: str | type[CompressedEmbedding] | None = None,
    layers: Sequence[str] | None = None,
    frequencies: dict[str, Any] | None = None,
    inputs: Any = None,
    report: Callable[[str], object] | None = None,
) -> ModelCompression:
    """Puts smaller embeddings in place of those of a trained model.

    Every `keras.layers.Embedding`, `keras_rs.layers.EmbedReduce` and `FullEmbedding` that is worth
    it becomes a layer whose tables approximate the trained one in closed form; inputs, names and
    all other weights stay. The given model is not changed.

    Args:
        model: A built functional, sequential, or subclassed Keras model. A subclassed one must
            have `get_config`, and its embeddings must be attributes, or in lists or dicts of them.
        ratio: How many times smaller the stored tables shall be than float32 ones.
        max_bytes: Bytes of the exported file without its vocabulary, at most, instead.
        method: A registered method; None takes, for each table, the one of least error among
            rows of 8, 4 and 2 bits, low rank and residual codes.
        layers: Patterns of names of the layers to replace, such as `["item*"]`; None takes all.
        frequencies: `[input_dim]` arrays by the name of a layer: how often each id occurs.
        inputs: What a subclassed model is called with, as `memcom_tf.converters.convert` takes it.
        report: Called with a line for each method that was tried on a table.

    Returns:
        The new model, and what became of each embedding.

    Raises:
        TypeError: If a subclassed model cannot be made again from its config.
        ValueError: If the model has no embedding, a pattern fits none, `ratio` is more than a table
            can reach, which is named, or `max_bytes` is too few.

    Example:
        >>> import keras
        >>> ids = keras.Input((4,), dtype="int32")
        >>> table = keras.layers.Embedding(5000, 16, name="items")
        >>> model = keras.Model(ids, keras.layers.Flatten()(table(ids)))
        >>> compression = compress_embeddings(model, ratio=10)
        >>> type(compression.model.get_layer("items")).__name__
        'ResidualQuantizedEmbedding'
    """
    if (max_bytes is None) == (ratio is None):
        raise invalid(
            "Either `max_bytes` or `ratio` must be given.", "", max_bytes=max_bytes, ratio=ratio
        )
    if ratio is not None and not ratio >= 1:
        raise invalid("`ratio` must be 1 or more.", ratio=ratio)
    work = _Replacement(model, method_named(method), layers, frequencies or {}, inputs, report)
    with reporting(report):
        if ratio is None:
            return _within(work, int(max_bytes or 0))
        work.require_reachable(ratio)
        found = work.at_bytes(work.total_bytes / ratio)
        return ModelCompression(work.rebuilt(found), found)


def _within(work: _Replacement, max_bytes: int) -> ModelCompression:
    """The largest tables of which the whole file fits."""
    from memcom_tf.converters import convert

    def file_bytes(model: Any) -> int:
        conversion = convert(model, inputs=work.inputs, verify=False)
        return int(conversion.report["graph_bytes"])

    stored = sum(_stored(layer) for layer in work.worth_it)
    with doing("measuring the original"):
        smallest = file_bytes(work.model) - stored

    def size(found: list[LayerCompression]) -> int:
        # Rebuilt once more at the end: one model at a time is in memory.
        return file_bytes(work.rebuilt(found))

    attempts: Any = counted(range(ROUNDS), "attempt")

    def make(room: int) -> list[LayerCompression] | None:
        next(attempts)
        return work.at_bytes(room) if room else None

    with closing(attempts):
        fitting = largest_file(max_bytes, max_bytes - smallest, make, size, spare=_SPARE)
    if fitting is None:
        raise invalid(
            "`max_bytes` must leave room for the smallest method.",
            f"The file without these tables takes about {smallest:,} bytes.",
            max_bytes=max_bytes,
        )
    return ModelCompression(work.rebuilt(fitting.made), fitting.made, fitting.file_bytes)


class _Replacement:
    """A model, its embeddings, and which of them are worth replacing."""

    def __init__(
        self,
        model: Any,
        method: type[CompressedEmbedding] | None,
        patterns: Sequence[str] | None,
        frequencies: dict[str, Any],
        inputs: Any,
        report: Callable[[str], object] | None,
    ) -> None:
        self.report = report or (lambda line: None)
        inputs = task_of(model).inputs(model) if inputs is None else inputs
        self.model, self.method, self.inputs = model, method, inputs
        self.frequencies = frequencies
        self.found = [layer for layer in layers_of(model) if is_table(layer)]
        if not self.found:
            raise invalid("The model must hold an embedding.", "", model=model.name)
        names = [layer.name for layer in self.found]
        for name in (*(patterns or ()), *frequencies):
            if not any(fnmatchcase(known, name) for known in names):
                raise invalid("Names must be those of embeddings.", f"They are {names}.", name=name)
        chosen = [
            layer
            for layer in self.found
            if patterns is None or any(fnmatchcase(layer.name, shape) for shape in patterns)
        ]
        self.left = {id(layer): "not asked for" for layer in self.found}
        total = sum(_bytes(layer) for layer in chosen)
        self.worth_it = []
        for layer in chosen:
            if layer.weights[0].shape[1] < _LEAST_WIDTH:
                self.left[id(layer)] = f"rows of fewer than {_LEAST_WIDTH} values"
            elif _bytes(layer) < _LEAST_SHARE * total:
                self.left[id(layer)] = f"less than {_LEAST_SHARE:.0%} of all tables' bytes"
            else:
                del self.left[id(layer)]
                self.worth_it.append(layer)

    @property
    def total_bytes(self) -> int:
        """Bytes of the float32 tables that are worth replacing."""
        return sum(_bytes(layer) for layer in self.worth_it)

    def require_reachable(self, ratio: float) -> None:
        """Requires that every table that is worth replacing can be so many times smaller."""
        limits = {}
        for layer in self.worth_it:
            rows, width = layer.weights[0].shape
            limits[layer.name] = largest_ratio(rows, width, self.method)
        name = min(limits, key=lambda name: limits[name], default="")
        if name and ratio > limits[name]:
            shown = math.floor(100 * limits[name]) / 100
            raise invalid(
                f"`ratio` must be at most {shown:g}, what the table of {name!r} can reach.",
                "Choose a smaller one, or a method of smaller tables, and train it.",
                ratio=ratio,
            )

    def at_bytes(self, room: float) -> list[LayerCompression]:
        """What becomes of each embedding where all that are replaced share so many bytes."""
        found = []
        for layer in counted(self.found, "table"):
            table = table_of(layer)
            made, reason = None, self.left.get(id(layer), "")
            if not reason:
                made = approximation_of(
                    table,
                    int(room * table.nbytes / self.total_bytes),
                    frequencies=self.frequencies.get(layer.name),
                    method=self.method,
                    report=self.report,
                    **_kept(layer),
                )
                reason = "" if made is not None else "no method is that small"
            after = _stored(layer) if made is None else made.stored_bytes
            rows, width = table.shape
            found.append(
                LayerCompression(layer.name, rows, width, table.nbytes, after, made, reason)
            )
        return found

    def rebuilt(self, found: Sequence[LayerCompression]) -> Any:
        """The model with the layers found."""
        replaced = {
            id(layer): result.approximation.layer
            for layer, result in zip(self.found, found, strict=True)
            if result.approximation is not None
        }
        return with_layers(self.model, replaced, self.inputs)


def _bytes(layer: Any) -> int:
    return 4 * int(np.prod(layer.weights[0].shape))


def _stored(layer: Any) -> int:
    """Bytes of the table as the converter stores it without being told."""
    rows, width = layer.weights[0].shape
    return sum(table.stored_bytes for table in FullEmbedding(rows, width).stored_tables())


def _kept(layer: Any) -> dict[str, Any]:
    kept = {"name": layer.name, "trainable": layer.trainable}
    for name in ("mask_zero", "combiner"):
        if hasattr(layer, name):
            kept[name] = getattr(layer, name)
    return kept
