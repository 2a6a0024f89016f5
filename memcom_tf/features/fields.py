"""What the fields of a row are, and how their values become the inputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.features.encoded import EncodedRows
from memcom_tf.features.tokens import NGRAMS, WORDS, fnv1a, ngrams_of, words_of
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID, Dictionary, Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self

FIRST_ID = 2
"""Of the values of a field: id 0 is that of a missing value, id 1 that of unknown and rare ones."""


@dataclass(frozen=True)
class Categorical:
    """A field of categories.

    Id 0 stands for a missing value and id 1 for one that is unknown or rare; both have a vector
    that is trained. The values of the vocabulary follow.

    Attributes:
        name: Its name.
        input_dim: Its ids.
        length: Values that are seen of a field of several; 1 of a field of one.
        separator: What separates them in a text; None of a field of one.
        tokenizer: What cuts a text into its values instead: "words", by `words_of`, or "ngrams",
            by `ngrams_of`; None cuts at the separator, or not at all.
        table: The table that it looks up; fields of the same have the same vocabulary.
        vocabulary: Its values, which a file has as a `Dictionary`; None where they are not known.
            N-grams need none: their ids are hashes, and id 1 is that of none of them.
    """

    name: str
    input_dim: int
    length: int = 1
    separator: str | None = None
    table: str = ""
    vocabulary: Vocabulary | Dictionary | None = field(default=None, repr=False, compare=False)
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        check_positive(length=self.length)
        object.__setattr__(self, "table", self.table or self.name)
        if self.separator == "":
            raise invalid("`separator` must not be empty.", "None is that of one value a row.")
        if self.tokenizer not in (None, WORDS, NGRAMS) or (self.tokenizer and self.separator):
            raise invalid(
                f"`tokenizer` must be {WORDS!r} or {NGRAMS!r}, without a separator, or None.",
                tokenizer=self.tokenizer,
                separator=self.separator,
            )
        least = FIRST_ID + self.is_hashed
        if self.input_dim < least:
            raise invalid(f"`input_dim` must be at least {least}.", input_dim=self.input_dim)
        vocabulary = self.vocabulary
        if vocabulary is not None and self.is_hashed:
            raise invalid(
                "A field of n-grams must have no vocabulary.",
                "Its ids are hashes: leave `vocabulary` out.",
                field=self.name,
            )
        if vocabulary is not None and vocabulary.kind is not str:
            raise invalid(
                "The vocabulary of a field must hold strings.",
                "Convert its items.",
                field=self.name,
            )
        if vocabulary is not None and (vocabulary.first_id, vocabulary.input_dim) != (
            FIRST_ID,
            self.input_dim,
        ):
            raise invalid(
                "The vocabulary of a field must have a shared id, and as many ids as the field.",
                'Make it with `out_of_vocabulary="share"`.',
                field=self.name,
                input_dim=self.input_dim,
                vocabulary=vocabulary,
            )

    @property
    def has_several(self) -> bool:
        """Whether a row may have several values."""
        return self.separator is not None or self.tokenizer is not None

    @property
    def is_hashed(self) -> bool:
        """Whether ids are hashes of the values, so that there is no vocabulary."""
        return self.tokenizer == NGRAMS

    def values_of(self, text: str) -> list[str]:
        """The values of a text that are seen, in their order; none of a missing one."""
        if self.is_hashed:
            return ngrams_of(text, self.length)
        if self.tokenizer is not None:
            return words_of(text)[: self.length]
        if self.separator is None:
            return [text] if text else []
        values = [value for value in map(str.strip, text.split(self.separator)) if value]
        return values[: self.length]

    def ids(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """The ids `[n, length]` of values as text, of several values in their order, then zeros.

        Raises:
            ValueError: If the field has no vocabulary.
        """
        id_of = self._id_of()
        found = np.zeros((len(texts), self.length), np.int32)
        for row, text in enumerate(texts):
            values = self.values_of(text)
            found[row, : len(values)] = [id_of(value) for value in values]
        return found

    def _id_of(self) -> Callable[[str], int]:
        """What gives the id of a value."""
        if self.is_hashed:
            num_buckets = self.input_dim - FIRST_ID
            return cache(lambda value: FIRST_ID + fnv1a(value) % num_buckets)
        if self.vocabulary is None:
            raise invalid("The field must have a vocabulary.", "", field=self.name)
        return _looking_up(self.vocabulary)


@dataclass(frozen=True)
class Numeric:
    """A field of numbers.

    The model sees a number twice: as `(t(x) - mean) / deviation`, within [-10, 10], and 0 where it
    is missing, with `t(x) = sign(x) log(1 + |x|)` or `t(x) = x`; and as a category, the number of
    `boundaries` that are at most `x`, with an id of its own where it is missing.

    Attributes:
        name: Its name.
        boundaries: Between the categories, rising.
        log: Whether `t` is the logarithm.
        mean: Of `t(x)` in training.
        deviation: Its standard deviation in training.
    """

    name: str
    boundaries: Sequence[float] = ()
    log: bool = False
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(map(float, self.boundaries)))
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise invalid("Boundaries must rise.", field=self.name, boundaries=self.boundaries)
        if not self.deviation > 0:
            raise invalid("`deviation` must be positive.", deviation=self.deviation)

    @property
    def input_dim(self) -> int:
        """Its categories: that of a missing number, and those between the boundaries."""
        return len(self.boundaries) + 2


@dataclass(frozen=True)
class Features:
    """The fields of a model, and how rows become its inputs.

    Attributes:
        categorical: Fields of categories; those of several values come last.
        numeric: Fields of numbers.

    Raises:
        ValueError: If there is no field, two have one name, or fields of one table differ.

    Example:
        >>> sites = Vocabulary(["a", "b"], out_of_vocabulary="share")
        >>> features = Features([Categorical("site", 4, vocabulary=sites)], [Numeric("age", [20])])
        >>> inputs = features.encode({"site": ["b", "", "new"], "age": [31, None, 18]})
        >>> inputs["ids"].tolist(), inputs["numbers"].tolist()
        ([[3], [0], [1]], [[31.0], [nan], [18.0]])
    """

    categorical: Sequence[Categorical] = ()
    numeric: Sequence[Numeric] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.categorical, key=lambda of: of.has_several)
        object.__setattr__(self, "categorical", tuple(ordered))
        object.__setattr__(self, "numeric", tuple(self.numeric))
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise invalid("There must be fields, each of a name of its own.", "", twice=twice)
        kinds: dict[str, tuple[int, bool]] = {}
        for of in self.categorical:
            kind = of.input_dim, of.is_hashed
            if kinds.setdefault(of.table, kind) != kind:
                raise invalid(
                    "Fields of one table must have one vocabulary.",
                    "Fit them with `shared`.",
                    table=of.table,
                    input_dims=sorted({kinds[of.table][0], of.input_dim}),
                )

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [*(of.name for of in self.categorical), *(of.name for of in self.numeric)]

    @property
    def slots(self) -> int:
        """Ids of a row: one for a field of one value, `length` for a field of several."""
        return sum(of.length for of in self.categorical)

    @property
    def tables(self) -> dict[str, int]:
        """The ids of each table of categories, by name."""
        return {of.table: of.input_dim for of in self.categorical}

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """The vocabulary of each table, where it is known and not in a file."""
        return {
            of.table: of.vocabulary
            for of in self.categorical
            if isinstance(of.vocabulary, Vocabulary)
        }

    def with_vocabularies(self, vocabularies: Mapping[str, Vocabulary]) -> Self:
        """The same fields with the vocabularies of their tables."""
        known = [replace(of, vocabulary=vocabularies.get(of.table)) for of in self.categorical]
        return replace(self, categorical=known)

    def encode(self, columns: Any) -> dict[str, npt.NDArray[Any]]:
        """The inputs of a model for rows.

        Args:
            columns: `memcom_tf.datasets.Rows`, or the columns by name: strings, integers or None
                of categories, numbers or None; or rows of a prepared data set. A field that is not
                among them is missing in every row; other columns are left out.

        Returns:
            "ids" `[n, slots]` int32 where there are categories, "numbers" `[n, numeric fields]`
            float32, NaN where one is missing, where there are numbers.

        Raises:
            ValueError: If columns differ in length, or a number is none.
        """
        if isinstance(columns, EncodedRows):
            return columns.inputs_of(self)
        found = _columns(columns)
        rows = {name: len(column) for name, column in found.items() if name in self.names}
        if len(set(rows.values())) != 1:
            raise invalid(
                "There must be columns of the fields, of equal lengths.",
                f"The fields are {self.names}.",
                columns=dict(rows) or list(found)[:20],
            )
        count = next(iter(rows.values()))
        inputs: dict[str, npt.NDArray[Any]] = {}
        if self.categorical:
            parts = [_ids(of, found.get(of.name), count) for of in self.categorical]
            inputs["ids"] = np.concatenate(parts, axis=1)
        if self.numeric:
            numbers = [_numbers(of, found.get(of.name), count) for of in self.numeric]
            inputs["numbers"] = np.stack(numbers, axis=1)
        return inputs

    def to_config(self) -> dict[str, Any]:
        """The fields as JSON takes them, without vocabularies."""
        categorical = [asdict(replace(of, vocabulary=None)) for of in self.categorical]
        for of in categorical:
            del of["vocabulary"]
        numeric = [{**asdict(of), "boundaries": list(of.boundaries)} for of in self.numeric]
        return {"categorical": categorical, "numeric": numeric}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Reads what `to_config` returned."""
        return cls(
            [Categorical(**of) for of in config["categorical"]],
            [Numeric(**of) for of in config["numeric"]],
        )


def _looking_up(vocabulary: Vocabulary | Dictionary) -> Callable[[str], int]:
    """What gives the id of a value, known or not, and looks each up once."""
    if isinstance(vocabulary, Dictionary):

        def of_file(value: str) -> int:
            found = vocabulary.id(value)
            return SHARED_ID if found is None else found

        return cache(of_file)
    return cache(lambda value: int(vocabulary.ids(value)) if value in vocabulary else SHARED_ID)


def _columns(given: Any) -> dict[str, Any]:
    """Columns by name, of rows or of a mapping."""
    if hasattr(given, "categorical") and hasattr(given, "numeric"):
        return {**given.categorical, **given.numeric}
    return dict(given)


def _ids(of: Categorical, column: Any, count: int) -> npt.NDArray[np.int32]:
    if column is None:
        return np.full((count, of.length), PADDING_ID, np.int32)
    # A column that holds each distinct value once is looked up once a value.
    if hasattr(column, "codes"):
        known, places = np.unique(column.codes, return_inverse=True)
        texts = [str(value) for value in column.values[known].tolist()]
        return of.ids(texts)[places.reshape(-1)]
    texts = ["" if _is_missing(value) else str(value) for value in column]
    distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return of.ids(list(distinct))[[distinct[text] for text in texts]]


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _numbers(of: Numeric, column: Any, count: int) -> npt.NDArray[np.float32]:
    if column is None:
        return np.full(count, np.nan, np.float32)
    typed = isinstance(column, np.ndarray) and column.dtype.kind in "iuf"
    values = column if typed else [np.nan if value is None else value for value in column]
    for value in () if typed else values:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise invalid(
                f"The field {of.name!r} must hold numbers.",
                "None is a missing one.",
                value=str(value)[:60],
            )
    with np.errstate(over="ignore"):
        numbers = np.array(values, np.float64).astype(np.float32)
    if numbers.shape != (count,) or np.isinf(numbers).any():
        raise invalid(
            f"The field {of.name!r} must hold finite numbers, one a row.",
            "None is a missing one.",
            shape=numbers.shape,
        )
    return numbers
