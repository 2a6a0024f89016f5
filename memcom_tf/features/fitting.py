"""Fields learned from rows: vocabularies, and where numbers lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.features.fields import Categorical, Features, Numeric
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import Vocabulary

NUM_BINS = 20
MOST_VALUES = 20
_SKEWED = 2.0
"""From this skewness on a field of numbers is seen as logarithms."""


def fit_features(
    rows: Any,
    *,
    min_count: int = 2,
    max_size: int | None = None,
    num_bins: int = NUM_BINS,
    max_values: int = MOST_VALUES,
    shared: Mapping[str, Sequence[str]] | None = None,
) -> Features:
    """The fields of rows, as training sees them.

    Values of a category are numbered by falling count. Numbers are cut at their quantiles, and
    are seen as logarithms where their skewness is above 2.

    Args:
        rows: `memcom_tf.datasets.Rows` of training alone: what else occurs is unknown later, too.
        min_count: Values that occur less often share the id of unknown ones; where none occurs as
            often, the most frequent one is kept.
        max_size: Values of a field that are kept at most; None keeps all.
        num_bins: Categories of a field of numbers, at most.
        max_values: Values that are seen of a field of several, at most.
        shared: Fields that share a table and its vocabulary, by the name of the table.

    Returns:
        The fields.

    Raises:
        ValueError: If a field to share is not categorical, or a number is not positive.

    Example:
        >>> from memcom_tf.datasets import Rows
        >>> rows = Rows.of({"site": ["a", "b", "a", "c"]}, {"age": [31, None, 18, 44]})
        >>> features = fit_features(rows)
        >>> features.tables, features.numeric[0].boundaries
        ({'site': 3}, (18.0, 31.0, 44.0))
    """
    check_positive(min_count=min_count, num_bins=num_bins, max_values=max_values)
    table_of = {name: table for table, names in (shared or {}).items() for name in names}
    unknown = sorted(set(table_of) - set(rows.categorical))
    if unknown:
        raise invalid(
            "Fields that share a table must be categorical.",
            f"They are {list(rows.categorical)}.",
            unknown=unknown,
        )
    counts: dict[str, Counter[str]] = {}
    lengths: dict[str, int] = {}
    for name, column in rows.categorical.items():
        found, lengths[name] = _counts(column, rows.several.get(name))
        counts.setdefault(table_of.get(name, name), Counter()).update(found)
    vocabularies = {
        table: field_vocabulary(found, min_count, max_size) for table, found in counts.items()
    }
    categorical = []
    for name in rows.categorical:
        table, separator = table_of.get(name, name), rows.several.get(name)
        vocabulary = vocabularies[table]
        length = 1 if separator is None else min(max_values, max(1, lengths[name]))
        categorical.append(
            Categorical(name, vocabulary.input_dim, length, separator, table, vocabulary)
        )
    return Features(
        categorical, [_numeric(name, column, num_bins) for name, column in rows.numeric.items()]
    )


def _counts(column: Any, separator: str | None) -> tuple[Counter[str], int]:
    """How often each value occurs, and how many a row has at most."""
    found: Counter[str] = Counter()
    longest = 0
    for text, count in zip(column.values.tolist(), column.counts().tolist(), strict=True):
        values: Iterable[str] = [str(text)]
        if separator is not None:
            values = [value for value in map(str.strip, str(text).split(separator))]
        values = [value for value in values if value]
        if count:
            longest = max(longest, len(values))
            for value in values:
                found[value] += count
    return found, longest


def field_vocabulary(
    counts: Mapping[str, int], min_count: int, max_size: int | None = None
) -> Vocabulary:
    """The vocabulary of a field, of how often its values occur in training.

    Args:
        counts: How often each value occurs.
        min_count: As of `fit_features`.
        max_size: As of `fit_features`.
    """
    if not counts:  # of a field that is missing in every row
        return Vocabulary(["?"], counts=[0], out_of_vocabulary="share")
    if max(counts.values()) < min_count:
        min_count, max_size = 1, 1
    return Vocabulary.from_counts(
        counts, min_count=min_count, max_size=max_size, out_of_vocabulary="share"
    )


def _numeric(name: str, column: np.ndarray, num_bins: int) -> Numeric:
    values = column[~np.isnan(column)].astype(np.float64)
    if not len(values):
        return Numeric(name)
    boundaries = np.quantile(values, quantiles(num_bins), method="nearest")
    return numeric_field(name, boundaries, lambda: iter([values]))


def quantiles(num_bins: int) -> np.ndarray:
    """The quantiles at which numbers are cut into so many categories at most, their ends apart."""
    return np.linspace(0, 1, num_bins)[1:-1] if num_bins > 2 else np.empty(0)


def numeric_field(
    name: str, boundaries: np.ndarray, blocks: Callable[[], Iterator[np.ndarray]]
) -> Numeric:
    """A field of numbers, whose values come in blocks.

    Args:
        name: Its name.
        boundaries: The values at its quantiles.
        blocks: Gives all values in float64, without missing ones; it is called once or twice.

    Example:
        >>> numeric_field("age", np.array([3.0]), lambda: iter([np.array([1.0, 3.0, 5.0])])).mean
        3.0
    """
    found = _Moments.of_blocks(blocks())
    log = bool(found.skewness > _SKEWED)
    seen = found
    if log:
        logarithms = (np.sign(values) * np.log1p(np.abs(values)) for values in blocks())
        seen = _Moments.of_blocks(logarithms)
    # In float32, as the model compares.
    edges = np.unique(boundaries.astype(np.float32)).tolist()
    return Numeric(name, tuple(edges), log, float(seen.mean), float(seen.variance**0.5) or 1.0)


class _Moments(NamedTuple):
    """Of values: how many, their mean, and the mean square and cube of what they differ from it."""

    size: int
    mean: float
    variance: float
    cube: float

    @classmethod
    def of_blocks(cls, blocks: Iterator[np.ndarray]) -> _Moments:
        return reduce(cls.joined, map(cls.of, blocks))

    @classmethod
    def of(cls, values: np.ndarray) -> _Moments:
        mean = values.mean()
        return cls(len(values), mean, values.var(), ((values - mean) ** 3).mean())

    def joined(self, other: _Moments) -> _Moments:
        """Of both together, by the formulas of Chan et al. and Pebay."""
        size = self.size + other.size
        share, apart = other.size / size, other.mean - self.mean
        rest = 1 - share
        variance = rest * self.variance + share * other.variance + rest * share * apart**2
        cube = (
            rest * self.cube
            + share * other.cube
            + rest * share * (rest - share) * apart**3
            + 3 * rest * share * apart * (other.variance - self.variance)
        )
        return _Moments(size, self.mean + share * apart, variance, cube)

    @property
    def skewness(self) -> float:
        return abs(self.cube) / self.variance**1.5 if self.variance else 0.0
