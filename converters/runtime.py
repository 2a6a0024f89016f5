"""A converted file on the LiteRT runtime. Needs ai-edge-litert and NumPy; never TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.errors import for_reader, invalid
from memcom_tf.features import Categorical, Features, Numeric
from memcom_tf.features.tokens import NGRAMS, WORDS
from memcom_tf.text import printable, printable_list
from memcom_tf.vocabulary import Dictionary, Vocabulary

from .graph_check.check import check_graph
from .graph_check.graph import Graph
from .model_file.agreement import check_agreement
from .model_file.archive import Archive, read_archive
from .model_file.arrays import as_array
from .model_file.description import FileDescription, RankerDescription
from .model_file.interpreters import GraphEndedError, InChild, InProcess, Interpreter
from .model_file.ranked_lists import Ranked, ranked_list
from .model_file.row_splits import flat_inputs
from .model_file.sizes import compressed_bytes, html_of_tables, parts_of

_VALUES_AT_A_TIME = 1 << 16
"""Ids and numbers of the rows of one call. A kernel may hold some thousand numbers of each id."""
_TOKENIZERS = {"text": WORDS, "ngrams": NGRAMS}
"""By what a field holds."""


class CompressedModelFile:
    """A file of `memcom convert`, loaded.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of the runtime.
        in_process: Whether the graph runs in this process whatever its operators are. By default
            one with operators on whose kernels nothing is known runs in a child, which takes some
            tenths of a second to start: a kernel that crashes ends the child, and raises here.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        ValueError: If the file is foreign, cut off or damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], num_threads: int = 1, *, in_process: bool = False
    ) -> None:
        if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
            raise invalid("`num_threads` must be a positive integer.", num_threads=num_threads)
        self.path = Path(path)
        self.archive: Archive = read_archive(path)
        # Before the runtime sees it: a kernel may crash on what its checks let through.
        self.graph: Graph = check_graph(self.path, self.archive.graph_bytes)
        check_agreement(self.description, self.archive.dictionary, self.graph, self.path)
        where = InProcess if in_process or self.graph.is_known_to_be_safe else InChild
        self._interpreter: Interpreter = where(self.path, num_threads)

    def __repr__(self) -> str:
        signatures = printable_list(sorted(self.signatures))
        size = self.path.stat().st_size
        name = printable(self.path.name)
        return f"<CompressedModelFile {name}: {size:,} bytes; signatures {signatures}>"

    def _repr_html_(self) -> str:
        return html_of_tables(repr(self).strip("<>"), self.report)

    @property
    def description(self) -> FileDescription:
        """What the converter wrote about the file."""
        return self.archive.description

    @cached_property
    def report(self) -> dict[str, Any]:
        """The description as JSON, with the sizes of the file, also compressed by zlib."""
        sizes = {
            "file_bytes": self.path.stat().st_size,
            "graph_bytes": self.archive.graph_bytes,
            "compressed_bytes": compressed_bytes(parts_of(self.path)),
        }
        return {**self.description.to_json(), **sizes}

    @cached_property
    def signatures(self) -> dict[str, dict[str, list[str]]]:
        """Names of the inputs and outputs of every signature."""
        return {
            name: {"inputs": sorted(found.inputs), "outputs": sorted(found.outputs)}
            for name, found in self.graph.signatures.items()
        }

    def run(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            **inputs: Arrays by name, or lists of numbers; ids of any type of integers, as far as
                they fit int32. Ragged ids may be a sequence of rows.

        Returns:
            Arrays by name.

        Raises:
            ValueError: If the file has no such signature, inputs are missing, of another type or
                shape, or the runtime refuses them, as it does for ids outside the tables.
        """
        if not isinstance(signature, str) or signature not in self.signatures:
            raise invalid(
                f"The signature must be one of {printable_list(sorted(self.signatures))}.",
                signature=signature,
            )
        arrays = self._arrays(signature, inputs)
        try:
            outputs = self._interpreter.run(signature, arrays)
        except GraphEndedError:
            raise
        except (RuntimeError, ValueError, MemoryError) as error:
            said = " ".join(str(error).split()) or "no memory"
            raise invalid(f"The runtime must accept the input: {said.rstrip('.')}.") from error
        return {name: np.asarray(values) for name, values in outputs.items()}

    def _arrays(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        """The inputs as the graph takes them."""
        found = self.graph.signatures[signature]
        tensors = self.graph.subgraphs[found.subgraph].tensors
        specs = {name: tensors[place] for name, place in found.inputs.items()}
        inputs = flat_inputs(inputs, {name: spec.dtype for name, spec in specs.items()})
        if set(inputs) != set(specs):
            raise invalid(
                f"The inputs of {printable(signature)} must be {printable_list(sorted(specs))}.",
                inputs=sorted(inputs),
            )
        return {
            name: as_array(name, inputs[name], spec.dtype, spec.shape)
            for name, spec in specs.items()
        }

    # A model of rows of fields.

    @cached_property
    def fields(self) -> Features:
        """The fields of the rows that the file takes.

        Raises:
            ValueError: If the file holds a model of other inputs.
        """
        described = self.description.fields
        if described is None and self.description.kind == "ranker":
            raise invalid(
                "The file must hold a model of rows of fields.",
                for_reader(
                    "This ranker takes no fields: call `rank`, without `row`.",
                    "This ranker takes no fields: use `memcom rank`, without --fields.",
                ),
                kind=self.description.kind,
            )
        if described is None:
            raise invalid(
                "The file must hold a model of rows of fields.",
                for_reader(
                    "Convert a memcom_tf.models.ClickModel, TextClassifier or TextVectors.",
                    "Convert what `memcom train` wrote with `--task click` or `--task text`.",
                ),
                kind=self.description.kind,
            )
        dictionaries = self.archive.field_dictionaries
        return Features(
            [
                Categorical(
                    of.name,
                    of.input_dim or 0,
                    of.length,
                    of.separator,
                    of.table or "",
                    dictionaries.get(of.table or ""),
                    _TOKENIZERS.get(of.holds),
                )
                for of in described
                if of.has_ids
            ],
            [Numeric(of.name) for of in described if not of.has_ids],
        )

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes whose probabilities `predict` gives; None of another model."""
        names = self.description.classes
        return None if names is None else tuple(names)

    def predict(self, columns: Any) -> np.ndarray:
        """The outputs of a model of rows.

        Probabilities `[n]` of a click model, `[n, classes]`, in the order of `classes`, of a text
        classifier, and vectors `[n, d]` of a model that gives these.

        Args:
            columns: `memcom_tf.datasets.Rows`, or the columns of the fields by name, as
                `memcom_tf.features.Features.encode` takes them: an unknown category has the id of
                unknown ones, a missing value that of missing ones, and a field that is left out
                is missing in every row.

        Raises:
            ValueError: If the file holds a model of other inputs, or columns are wrong.
        """
        inputs = self.fields.encode(columns)
        parts = []
        values_of_row = sum(x[:1].size for x in inputs.values())
        at_a_time = max(1, _VALUES_AT_A_TIME // max(values_of_row, 1))
        for first in range(0, len(next(iter(inputs.values()))), at_a_time):
            part = {name: x[first : first + at_a_time] for name, x in inputs.items()}
            (output,) = self.run("serving_default", **part).values()
            parts.append(output)
        width = self.description.output_dim
        if self.classes is not None:
            width = len(self.classes)
        outputs = np.concatenate(parts) if parts else np.empty((0, width or 1), np.float32)
        return outputs.reshape(-1) if width is None else outputs

    def text_vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """The vectors of texts, such as the titles of new items, by a `TextVectors` model.

        Scores of these are products with the query that the file of a ranker gives, by which it
        compares its own items, less their biases where they have any.

        Args:
            texts: Any texts; one without a letter or number, such as an empty one or None, has the
                vector of nothing known.

        Returns:
            Vectors `[n, d]` float32.

        Raises:
            ValueError: If the file holds another model.

        Example:
            >>> import pathlib, tempfile
            >>> from memcom_tf.converters import convert
            >>> from memcom_tf.features import hashed_ngrams
            >>> from memcom_tf.layers import FullEmbedding
            >>> from memcom_tf.models import RetrievalModel, TextVectors
            >>> import keras
            >>> items = FullEmbedding(100, 8, name="items")
            >>> history = keras.Input([5], dtype="int32", name="history")
            >>> query = keras.layers.GlobalAveragePooling1D()(items(history))
            >>> ranker = RetrievalModel(keras.Model(history, query), items)
            >>> ranker.build_once()
            >>> titles = TextVectors(hashed_ngrams("title", num_buckets=500), 8)
            >>> titles.build_once()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     paths = [pathlib.Path(folder) / name for name in ("rank.tflite", "text.tflite")]
            ...     for model, path in zip((ranker, titles), paths):
            ...         convert(model).save(path)
            ...     of_items, of_texts = map(CompressedModelFile, paths)
            ...     query = of_items.run("query", history=of_items.history_row([3, 8]))["query"]
            ...     known, scores = of_items.rank([3, 8], k=3)
            ...     new = query @ of_texts.text_vectors(["Green tea", "Hot milk"]).T
            >>> merged = np.concatenate([scores, new[0]])
            >>> merged.shape, len(np.argsort(-merged)[:3])
            ((5,), 3)
        """
        described = self.description.fields or ()
        if self.description.output_dim is None or [of.holds for of in described] != [NGRAMS]:
            raise invalid(
                "The file must hold a model of vectors of texts.",
                for_reader("Convert a memcom_tf.models.TextVectors.", "Only Python makes these."),
                kind=self.description.kind,
            )
        return self.predict({described[0].name: list(texts)})

    # A ranker.

    @property
    def ranker(self) -> RankerDescription:
        """The sizes of a ranker.

        Raises:
            ValueError: If the file holds another model.
        """
        if self.description.ranker is None:
            of_rows = self.description.fields is not None and self.description.output_dim is None
            raise invalid(
                "The file must hold a ranker.",
                for_reader(
                    "Call `predict` of rows of fields."
                    if of_rows
                    else "Convert a memcom_tf.models.NextItemRanker or RetrievalModel.",
                    "Use `memcom score`." if of_rows else "Convert what `memcom train` wrote.",
                ),
                kind=self.description.kind,
            )
        return self.description.ranker

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that gave the ids, read as a whole at first use.

        Raises:
            ValueError: If the model was converted without one.
        """
        if self.archive.vocabulary is None:
            raise self._without_vocabulary()
        return self.archive.vocabulary

    @property
    def dictionary(self) -> Dictionary:
        """The vocabulary in the file, of which a lookup reads what it needs.

        Raises:
            ValueError: If the model was converted without one.
        """
        if self.archive.dictionary is None:
            raise self._without_vocabulary()
        return self.archive.dictionary

    def _without_vocabulary(self) -> ValueError:
        return invalid(
            "The file must hold a vocabulary.",
            for_reader(
                "Set the attribute `vocabulary` of the model before it is converted.",
                "Convert a ranker that `memcom train` wrote: such a file has one.",
            ),
            path=str(self.path),
        )

    @property
    def free_ids(self) -> np.ndarray:
        """The ids that no item of the file's vocabulary has; none where there is no vocabulary."""
        dictionary = self.archive.dictionary
        return np.empty(0, np.int64) if dictionary is None else dictionary.free_ids

    @property
    def holes(self) -> np.ndarray:
        """The name that `free_ids` had."""
        return self.free_ids

    def history_row(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The input `history [1, L]`: the last `L` ids in order of time, then zeros.

        Raises:
            ValueError: If the file holds no ranker, or an id is not in its catalogue.
        """
        length = self.ranker.history_length
        row = np.zeros((1, length), np.int32)
        recent = as_array("ids", ids, "int64", (-1,))
        items = self.description.num_ids
        outside = recent[(recent < 0) | (recent >= items) | np.isin(recent, self.free_ids)]
        if len(outside):
            raise _outside(items, int(outside[0]))
        recent = recent[recent != 0][-length:]
        row[0, : len(recent)] = recent
        return row

    def rank(
        self,
        history: Sequence[int] | np.ndarray | None = None,
        *,
        k: int | None = None,
        exclude: Sequence[int] | np.ndarray = (),
        candidates: Sequence[int] | np.ndarray | None = None,
        row: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Ranked:
        """The best items of a query: ids `[k]` and scores `[k]`, the best first.

        Items of the history are left out. The list is shorter than `k` where fewer are left.

        Args:
            history: Ids in order of time, where the file takes a history.
            k: Length of the list, at most that of the file; None takes that. Of `candidates` any.
            exclude: Ids to leave out, too. Where too few of the file's list are left, the whole
                catalogue is scored, which takes longer.
            candidates: The ids to rank, such as what is in stock; None ranks the catalogue.
            row: Values of the fields that the file takes, by name; None, or left out, is missing.
            **inputs: Other inputs of the query by name, `[1, ...]`.

        Raises:
            ValueError: If the file holds no ranker, `k` is out of range, ids are not in its
                catalogue, or inputs are not those that it takes.
        """
        query = self.query_inputs(history, row, **inputs)
        length = self.ranker.k if k is None else k
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise invalid("`k` must be a positive integer.", k=k)
        return ranked_list(
            self.run,
            query,
            k=int(length),
            longest=self.ranker.k,
            items=lambda: self._items,
            exclude=self._ids(exclude),
            candidates=None if candidates is None else self._ids(candidates),
        )

    def query_inputs(
        self,
        history: Sequence[int] | np.ndarray | None = None,
        row: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> dict[str, Any]:
        """The inputs of `rank`, and of `score` beside candidates; arguments as of `rank`.

        Raises:
            ValueError: If they are not those that the file takes.
        """
        taken = {**inputs}
        if self.ranker.history_length:
            if history is None:
                raise invalid("Ids of a history must be given.", "Pass [] of none.", history=None)
            taken["history"] = self.history_row(history)
        elif history is not None and len(history):
            raise invalid("`history` must be left out: the file takes none.", history=list(history))
        if row is not None or (self.description.fields and not {"ids", "numbers"} & set(inputs)):
            taken |= self._encoded({} if row is None else row)
        missing = sorted({*self.signatures["rank"]["inputs"]} - set(taken))
        if missing:
            raise invalid(
                "All inputs of a query must be given.",
                for_reader("Pass them by name.", "Such a file is ranked with from Python alone."),
                missing=missing,
            )
        return {name: x for name, x in taken.items() if name in self.signatures["rank"]["inputs"]}

    def _encoded(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The inputs that the fields of one query are."""
        fields = self.fields
        unknown = sorted(set(row) - set(fields.names))
        if unknown:
            raise invalid(f"Fields must be among {printable_list(fields.names)}.", fields=unknown)
        return fields.encode({fields.names[0]: [None], **{name: [x] for name, x in row.items()}})

    @property
    def _items(self) -> np.ndarray:
        """The ids of all items."""
        ids = np.arange(self.ranker.reserved_ids, self.description.num_ids, dtype=np.int32)
        return np.setdiff1d(ids, self.free_ids)

    def _ids(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Ids of items, each once; the reserved ones are left out.

        Raises:
            ValueError: If one is not in the catalogue.
        """
        found = np.unique(as_array("ids", ids, "int64", (-1,)))
        items = self.description.num_ids
        outside = found[(found < 0) | (found >= items) | np.isin(found, self.free_ids)]
        if len(outside):
            raise _outside(items, int(outside[0]))
        return found[found >= self.ranker.reserved_ids].astype(np.int32)


def _outside(items: int, id_: int) -> ValueError:
    return invalid(
        f"Ids must be in [0, {items}), and ids of items in the vocabulary.",
        "Map items to ids with the file's `vocabulary`.",
        id=id_,
    )
