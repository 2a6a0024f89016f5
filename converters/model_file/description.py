"""The description of a file: what the converter says of it, and what anyone may have written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..quantization.quantization_error import QUANTILES
from ..quantization.weights import Profile, Stored, Weights
from .described import Described, checked_as, damaged
from .origin import OriginDescription
from .values import Count, ListOf, MapOf, Number, Text, Truth

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = "memcom_tf.model"
FORMAT_VERSION = 2

_PROFILES = get_args(Profile)
_LONGEST_HISTORY = 2**20
_RESERVED_IDS = 2
_MOST_VALUES = 2**16
"""Ids that a ranker sees: a row of them is made for every call."""


@dataclass(frozen=True)
class TableDescription(Described):
    """A table of a file, as the file describes it.

    Attributes:
        name: Its name in its layer.
        rows: Its rows.
        width: Values of a row.
        storage: How it is stored, as `memcom_tf.tables.Storage` writes it.
        bits: Bits of a value.
        operator: What reads its rows.
        data_bytes: Bytes without scales.
        scale_bytes: Bytes of scales that are a tensor of their own.
        metadata_bytes: Bytes of all scales.
        float32_bytes: Bytes that the table would take in float32.
        median_error: Distance of the median row from what was trained, over the norm of that.
        worst_error: That of the worst row.
        error_quantiles: That of all rows, at the quantiles of `QUANTILES`.
    """

    name: str = checked_as(Text())
    rows: int = checked_as(Count(1))
    width: int = checked_as(Count(1))
    storage: str = checked_as(Text())
    # Files of earlier versions have none of what may be None.
    bits: int | None = checked_as(Count(1), default=None)
    operator: str | None = checked_as(Text(), default=None)
    data_bytes: int = checked_as(Count(), kw_only=True)
    scale_bytes: int = checked_as(Count(), kw_only=True)
    metadata_bytes: int | None = checked_as(Count(), default=None)
    float32_bytes: int = checked_as(Count(), kw_only=True)
    median_error: float | None = checked_as(Number(), default=None)
    worst_error: float | None = checked_as(Number(), default=None)
    error_quantiles: Sequence[float] | None = checked_as(
        ListOf(Number(), length=len(QUANTILES)), default=None
    )


@dataclass(frozen=True)
class EmbeddingDescription(Described):
    """A layer, or a matrix of another, as the file describes it.

    Attributes:
        name: Its name in the model.
        method: Its class; of a matrix how it is read.
        ships_as: The class whose tables are in the file; of a matrix how it is stored.
        input_dim: Ids, or rows.
        output_dim: Values of a vector.
        parameters: Values of the tables that ship.
        uncompressed_bytes: Bytes of a float32 table of a row an id.
        bytes: Bytes of the tables that ship.
        tables: They.
        share_not_unique_trained: Share of ids whose trained vector another id has as well.
        share_not_unique: That in the file. Both are None of a matrix, and of values of an id.
    """

    name: str = checked_as(Text())
    method: str = checked_as(Text())
    ships_as: str | None = checked_as(Text(), default=None)
    input_dim: int = checked_as(Count(1), kw_only=True)
    output_dim: int = checked_as(Count(1), kw_only=True)
    parameters: int | None = checked_as(Count(), default=None)
    uncompressed_bytes: int | None = checked_as(Count(), default=None)
    bytes: int = checked_as(Count(), kw_only=True)
    tables: Sequence[TableDescription] = checked_as(ListOf(), kw_only=True)
    share_not_unique_trained: float | None = checked_as(
        Number(least=None, whole=True), default=None
    )
    share_not_unique: float | None = checked_as(Number(least=None, whole=True), default=None)

    @classmethod
    def from_json(cls, values: Any, path: Path) -> Self:
        """Reads one, as `FileDescription.from_json` does."""
        found = cls.checked(values, path, "embeddings")
        if ("share_not_unique" in found) != ("share_not_unique_trained" in found):
            raise damaged("share_not_unique", found.get("share_not_unique"), path)
        tables = [
            TableDescription(**TableDescription.checked(table, path, "tables"))
            for table in found["tables"]
        ]
        return cls(**{**found, "tables": tables})

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {**super().to_json(), "tables": [table.to_json() for table in self.tables]}

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema of the object."""
        return _with_items(super().schema(), tables=TableDescription)


@dataclass(frozen=True)
class RankerDescription(Described):
    """What a ranker's file says beside that of another model.

    Attributes:
        k: Length of the list of `rank`.
        history_length: Ids that the input `history` has; 0 where there is none.
        reserved_ids: Ids before that of the first item.
    """

    k: int = checked_as(Count(1))
    history_length: int = checked_as(Count(most=_LONGEST_HISTORY))
    reserved_ids: int = checked_as(Count(1))


@dataclass(frozen=True)
class FieldDescription(Described):
    """A field of the rows that a file takes, in the order of its inputs.

    Fields of categories and of texts make the input "ids", of which each has `length` columns;
    fields of numbers make the input "numbers", of which each has one. `memcom_tf.features` says
    how values become these.

    Attributes:
        name: Its name.
        holds: "categories", "text", "ngrams" of texts, or "numbers".
        length: Values of a row that are seen.
        separator: What separates several values of a row in a text; None of one value.
        table: The vocabulary that it has, by name; of n-grams the table that they look up.
        input_dim: Ids of the vocabulary; of n-grams as many as buckets, and two.
        vocabulary_fingerprint: Its fingerprint; None of n-grams. All three are None of numbers.
    """

    name: str = checked_as(Text())
    holds: str = checked_as(Text(choices=("categories", "text", "ngrams", "numbers")))
    length: int = checked_as(Count(1, most=_MOST_VALUES), default=1)
    separator: str | None = checked_as(Text(), default=None)
    table: str | None = checked_as(Text(), default=None)
    input_dim: int | None = checked_as(Count(2), default=None)
    vocabulary_fingerprint: str | None = checked_as(Text(), default=None)

    @property
    def has_ids(self) -> bool:
        """Whether its values become ids."""
        return self.holds != "numbers"

    @property
    def has_vocabulary(self) -> bool:
        """Whether these are of a vocabulary."""
        return self.holds in ("categories", "text")

    @classmethod
    def from_json(cls, values: Any, path: Path) -> Self:
        """Reads one, as `FileDescription.from_json` does."""
        found = cls(**cls.checked(values, path, "fields"))
        of_ids = (found.table, found.input_dim, found.vocabulary_fingerprint)
        given = [value is not None for value in of_ids]
        fits = found.has_vocabulary == all(given)
        if found.has_ids and not found.has_vocabulary:
            has_buckets = (found.input_dim or 0) > _RESERVED_IDS
            fits = has_buckets and given == [True, True, False] and found.separator is None
        if not fits:
            raise damaged("fields", found.name, path)
        return found


@dataclass(frozen=True, kw_only=True)
class FileDescription(Described):
    """What a file says of itself, and what apps read of it.

    Attributes:
        producer: Version of this package that wrote it.
        converter: Version of what wrote its graph.
        name: Name of the model.
        kind: "ranker", with the signatures `rank`, `score` and `embed`, or "model".
        signatures: Names of its functions.
        vector_signatures: Those that give the vectors of ids.
        weights: How tables are stored, as `convert` takes it.
        profile: Runtimes that read it, as `convert` takes it.
        parameters: Values of the trained model.
        parameter_bytes: Bytes of these.
        uncompressed_parameters: Values of the model with a row an id in each embedding.
        embeddings: Its tables by layer; the first of a ranker's is that of the history.
        left_as_floats: Larger matrices that stay floats, and why, by name.
        inputs: On which inputs was decided what is multiplied in floats: "drawn" or "samples".
        multiplied_in_floats: Tables in integers that are multiplied in floats, and why, by name.
        warnings: What quantization loses that nobody would want to lose, in sentences.
        vocabulary_fingerprint: That of the vocabulary in the file; None where there is none.
        ranker: What a ranker's file says beside; None of another.
        fields: The fields of the rows that the model takes; None of a model that takes others.
        classes: Names of the classes whose probabilities it gives, in the order of its outputs;
            None of a model that gives others.
        output_dim: Width of the vector that it gives a row; None of a model that gives others.
        model_version: Which of the files of the model's name it is, from 1 on; an app takes no
            older one for a newer. None where it does not say.
        origin: What the file was made from; None where it does not say.
        min_runtime_version: The oldest TensorFlow Lite that runs it.
        scores_in_integers: Whether products of vectors are of integers.
        graph_crc32: Checksum of the graph; None before there is one.

    Example:
        >>> from pathlib import Path
        >>> try:
        ...     FileDescription.from_json({"kind": "ranker"}, Path("tea.tflite"))
        ... except ValueError as error:
        ...     print(str(error).partition(" Received")[0])
        The file must be undamaged: its description's `name` is not what it must be.
    """

    # Files of earlier versions have none of what may be None.
    producer: str | None = checked_as(Text(), default=None)
    converter: str | None = checked_as(Text(), default=None)
    name: str = checked_as(Text())
    kind: str = checked_as(Text())
    signatures: Sequence[str] = checked_as(ListOf(Text()))
    vector_signatures: Sequence[str] = checked_as(ListOf(Text()))
    weights: Weights = checked_as(MapOf(Text(), or_one=True))  # noqa: RUF009, a field
    profile: Profile = checked_as(Text(choices=_PROFILES), default="portable")  # noqa: RUF009
    parameters: int = checked_as(Count())
    parameter_bytes: int = checked_as(Count())
    uncompressed_parameters: int = checked_as(Count())
    embeddings: Sequence[EmbeddingDescription] = checked_as(ListOf())
    left_as_floats: Mapping[str, str] | None = checked_as(MapOf(Text()), default=None)
    inputs: str = checked_as(Text(), default="drawn")
    multiplied_in_floats: Mapping[str, str] | None = checked_as(MapOf(Text()), default=None)
    warnings: Sequence[str] | None = checked_as(ListOf(Text(printable=True)), default=None)
    vocabulary_fingerprint: str | None = checked_as(Text(or_none=True))
    ranker: RankerDescription | None = None
    fields: Sequence[FieldDescription] | None = checked_as(ListOf(), default=None)
    classes: Sequence[str] | None = checked_as(ListOf(Text()), default=None)
    output_dim: int | None = checked_as(Count(1), default=None)
    model_version: int | None = checked_as(Count(1), default=None)
    origin: OriginDescription | None = None
    min_runtime_version: str = checked_as(Text())
    scores_in_integers: bool = checked_as(Truth())
    graph_crc32: int | None = checked_as(Count(), default=None, in_every_file=True)

    @classmethod
    def from_json(cls, values: Any, path: Path) -> Self:
        """Reads a description of which this package knows nothing.

        Args:
            values: The parsed JSON. Fields that this version does not know are left out.
            path: The file that it is in, for messages.

        Raises:
            ValueError: If a field is missing, of another type or out of range. Texts may be any:
                who shows one makes it `printable`.
        """
        found = cls.checked(values, path, "description")
        embeddings = [EmbeddingDescription.from_json(of, path) for of in found["embeddings"]]
        if "fields" in found:
            found["fields"] = [FieldDescription.from_json(of, path) for of in found["fields"]]
        if "origin" in values:
            found["origin"] = OriginDescription.from_json(values["origin"], path)
        ranker = None
        if found["kind"] == "ranker":
            if not embeddings:
                raise damaged("embeddings", [], path)
            ranker = RankerDescription(**RankerDescription.checked(values, path, "description"))
        return cls(**{**found, "embeddings": embeddings, "ranker": ranker})

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        found = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **super().to_json(),
            "embeddings": [embedding.to_json() for embedding in self.embeddings],
        }
        if self.fields is not None:
            found["fields"] = [of.to_json() for of in self.fields]
        if self.origin is not None:
            found["origin"] = self.origin.to_json()
        if self.ranker is None:
            return found
        # Where files have had them.
        last = {name: found.pop(name) for name in _LAST if name in found}
        return {**found, **self.ranker.to_json(), **last}

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema of the object, which the readers of apps are tested against."""
        found = _with_items(
            super().schema(), embeddings=EmbeddingDescription, fields=FieldDescription
        )
        found["properties"] = {
            "format": {"const": FORMAT},
            "format_version": {"const": FORMAT_VERSION},
            **found["properties"],
            "origin": OriginDescription.schema(),
        }
        found["required"] = ["format", "format_version", *found["required"]]
        is_ranker = {"properties": {"kind": {"const": "ranker"}}}
        return {**found, "if": is_ranker, "then": RankerDescription.schema()}

    @property
    def num_ids(self) -> int:
        """Ids of a ranker's catalogue, whose table is described first; reserved ones too."""
        return self.embeddings[0].input_dim

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """What the file decided about the tables of its model.

        Args:
            names: The tables of the model in their order. Layers of a model that was built again
                may have other names than they had.

        Returns:
            By the names of the model; nothing of a file that has fewer tables.
        """
        reasons = self.multiplied_in_floats or {}
        tables = [
            ("/".join(filter(None, (embedding.name, table.name))), table.storage)
            for embedding in self.embeddings
            for table in embedding.tables
        ]
        return {
            ours: Stored(storage, reasons.get(theirs, ""))
            for ours, (theirs, storage) in zip(names, tables, strict=False)
        }


_LAST = ("min_runtime_version", "scores_in_integers", "graph_crc32")


def parse_description(text: bytes) -> Any:
    """Parses the JSON of a description, None where it is none."""
    try:
        return json.loads(text.decode(), parse_constant=_refuse)
    # Also a number of thousands of digits, and brackets in brackets without end.
    except (ValueError, RecursionError):
        return None


def _with_items(schema: dict[str, Any], **items: type[Described]) -> dict[str, Any]:
    """A schema, with those of the elements of its lists."""
    for name, of in items.items():
        schema["properties"][name] = {"type": "array", "items": of.schema()}
    return schema


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
