"""From a trained Keras model to a file that a phone's runtime ranks with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memcom_tf.errors import for_reader, invalid, message
from memcom_tf.files import write_atomically
from memcom_tf.progress import progress_bar
from memcom_tf.tasks import Task
from memcom_tf.text import printable_list

from .inputs import Samples
from .model_file.archive import append_members
from .model_file.origin import OriginDescription
from .model_file.sizes import compressed_bytes, html_of_tables
from .preparation.prepared import prepare
from .proof import Verification, verify_content
from .quantization.weights import Profile, Weights
from .tflite.writing import describe, write_graph


@dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
        content: The bytes of the file.
        report: Its description: signatures, tables, bytes, uniqueness of vectors.
        verification: How the file compares with the model, None where that was not asked for.
    """

    content: bytes = field(repr=False)
    report: dict[str, Any]
    verification: Verification | None

    def __repr__(self) -> str:
        proof = "not proved"
        if self.verification is not None:
            proof = "proved" if self.verification.passed else "not equal to the model"
        signatures = printable_list(self.report["signatures"])
        return f"<Conversion: {len(self.content):,} bytes, {proof}; signatures {signatures}>"

    def _repr_html_(self) -> str:
        return html_of_tables(repr(self).strip("<>"), self.report)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: Where to.
            overwrite: Whether a file of that name may be replaced.

        Raises:
            FileExistsError: If the file exists and may not be replaced.
            OSError: If it cannot be written.
        """
        if Path(path).exists() and not overwrite:
            raise FileExistsError(
                message(
                    "The output must not exist.",
                    for_reader("Pass overwrite=True to replace it.", "Replace it with --force."),
                    path=str(path),
                )
            )
        write_atomically(path, self.content)


def convert(
    model: Any,
    *,
    k: int = 10,
    weights: Weights = "int8",
    profile: Profile = "portable",
    inputs: Any = None,
    samples: Samples = None,
    signatures: Sequence[str] | None = None,
    allow_unsafe_deserialization: bool = False,
    verify: bool = True,
    examples: Any = None,
    task: Task | None = None,
    origin: OriginDescription | None = None,
    model_version: int | None = None,
) -> Conversion:
    """Converts a trained model to a `.tflite` file with integer tables.

    Tables are found in the graph, whichever layer holds them. Tables of vectors are stored in int8
    with a scale for each row, values of an id (MEmCom's multiplier, biases) in int16, codes as
    they are, and tables that a layer's `storage` names as it says. Kernels of Dense layers from
    1,024 values on are int8 with a scale for each output, and are multiplied in 8 bits; all other
    activations are floats. No table is turned into floats as a whole.

    A `NextItemRanker` gets the signatures `rank`, `score` and `embed`; a `RetrievalModel` these and
    `query`, which gives the vector of its query model; any other Keras model `serving_default`, and
    `embed` for tables of `memcom_tf.layers`; a SavedModel keeps its own.

    Args:
        model: A built Keras model, of Keras 3 or tf_keras as memcom_tf runs on, or the folder of a
            SavedModel. The vocabulary in its attribute `vocabulary`, where it has one, goes into
            the file.
        k: Length of the list of `rank`, the longest that the file gives of the whole catalogue.
        weights: "int8" stores tables as described; "int8_per_table" those of vectors with one
            scale, 4 bytes a row less and three to five times the squared error where norms of rows
            are alike; "int4" and "int2" those of vectors with fewer bits; "float16" those and
            kernels in half precision, of which rows are cast as they are read (TensorFlow Lite
            2.13); "float32" all as they are; or a dict of these by patterns of names, such as
            `{"users/*": "int4", "top_mlp*": "float32"}`, of which the first that fits counts.
        profile: The runtimes that are to read the file: "portable" for all from TensorFlow Lite
            2.8 on; "litert" for those from 2.18 on (2.21 with int2), whose EMBEDDING_LOOKUP reads
            tables of int8 with a scale for each row, int4 and int2 in one operator, with the same
            numbers. Older runtimes refuse such a file. int8 takes 8 bytes more for a row.
        inputs: What a subclassed model is called with: `tf.TensorSpec`s or a batch, in the same
            structure; a list of several for a `call` that takes them one by one. Functional and
            sequential models know.
        samples: Inputs that the model is made for: arrays by the names of the inputs, a batch in
            their structure, a `tf.data.Dataset` of such, or the path of an .npz, .csv or .parquet
            file; of a model of rows of fields such as `memcom score` takes. The proof runs the
            file on up to 512 rows of them, and kernels whose products in 8 bits lose too much of
            their signal are multiplied in floats. None draws inputs that the model accepts, with
            floats of several magnitudes.
        signatures: Names of the signatures of a SavedModel to convert. None takes all whose inputs
            and outputs are numbers, and warns of the others.
        allow_unsafe_deserialization: Whether a SavedModel may hold operators that write files or
            run code while it is loaded.
        verify: Whether the file is run on LiteRT and compared with the model.
        examples: Examples by which metrics of the task are compared: of a ranker
            `memcom_tf.evaluation.Examples`, of `Click` a pair of inputs and labels.
        task: What the model is for, such as `memcom_tf.tasks.Click()`; None asks the model, of
            which only rankers of memcom_tf know.
        origin: What the file is to say that it was made from: what
            `memcom_tf.converters.origin_of` returned. The commands pass it; None says nothing.
        model_version: Which of the files of the model's name it is, a positive integer. The app of
            android_demo refuses an older one in place of a newer. None says nothing.

    Returns:
        The bytes, the report and the verification; look at `verification.passed`.

    Raises:
        TypeError: If `model` is neither a Keras model nor a path.
        ValueError: If it holds no table, is not built, computes in half precision, takes or
            returns strings or sparse tensors, or cannot be expressed in builtin operators, or if
            `model_version` is not positive.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> conversion = convert(ranker, k=5)
        >>> conversion.verification.passed
        True
    """
    if model_version is not None and (type(model_version) is not int or model_version < 1):
        raise invalid("`model_version` must be a positive integer.", model_version=model_version)
    with progress_bar(None) as advance:
        advance("quantizing the tables", 0.0)
        prepared = prepare(
            model,
            weights=weights,
            profile=profile,
            inputs=inputs,
            k=k,
            samples=samples,
            signatures=signatures,
            allow_unsafe_deserialization=allow_unsafe_deserialization,
            task=task,
        )
        advance("writing the graph", 0.3)
        graph = write_graph(prepared)
        description = replace(describe(prepared, graph), origin=origin, model_version=model_version)
        content = append_members(
            graph, description, prepared.vocabulary, prepared.vocabularies_of_fields
        )
        report = {**description.to_json(), "file_bytes": len(content), "graph_bytes": len(graph)}
        del graph  # which may be large
        advance("compressing, to know the bytes of a download", 0.2)
        report["compressed_bytes"] = compressed_bytes([content])
        advance("verifying" if verify else "", 0.3)
        verification = None
        if verify:
            verification = verify_content(prepared, content, examples=examples)
        advance("", 0.2)
    return Conversion(content, report, verification)
