"""A column of users or items, each distinct one stored once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.vocabulary.items import as_column, factorize

CodeArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labels:
    """A column of labels, strings or integers: `values[codes]`.

    Attributes:
        values: [m] distinct labels in rising order: int64, or objects where they are strings or
            integers beyond int64. Some may occur in no row.
        codes: [n] for each row the place of its label in `values`.

    Example:
        >>> labels = Labels.encode(["tea", "milk", "tea"], "item")
        >>> labels.values.tolist(), labels.codes.tolist()
        (['milk', 'tea'], [1, 0, 1])
    """

    values: npt.NDArray[Any]
    codes: CodeArray

    @classmethod
    def encode(cls, column: object, name: str) -> Labels:
        """Encodes a column.

        Args:
            column: [n] strings or integers: a list, an array or a Series; labels stay as they are.
            name: What the column is called, for the errors.

        Returns:
            The labels.

        Raises:
            ValueError: If there is not one dimension, if a value is missing or neither a string
                nor an integer, or if both kinds occur.
        """
        if isinstance(column, Labels):
            return column
        if _is_of_int64(column):
            return cls.of_integers(np.asarray(column, np.int64))
        checked = as_column(column, name)
        if checked.kind is int:
            try:
                return cls.of_integers(np.array(checked.values, np.int64))
            except OverflowError:
                pass  # Such integers stay exact as Python objects only.
        distinct, codes = factorize(checked.values)
        values: npt.NDArray[Any] = np.empty(len(distinct), object)
        values[:] = distinct
        return cls(values, narrow(codes))

    @classmethod
    def of_integers(cls, column: npt.NDArray[np.int64]) -> Labels:
        """Encodes [n] integers."""
        values, codes = np.unique(column, return_inverse=True)
        return cls(values, narrow(codes.reshape(-1)))

    def array(self) -> npt.NDArray[Any]:
        """The column itself: [n], int64 or objects."""
        return self.values[self.codes]

    def counts(self) -> npt.NDArray[np.int64]:
        """[m] how often each of the values occurs."""
        return np.bincount(self.codes, minlength=len(self.values))

    def __getitem__(self, rows: Any) -> Labels:
        """The labels of some rows: a slice, numbers or a mask."""
        return Labels(self.values, self.codes[rows])

    def __len__(self) -> int:
        return len(self.codes)


def _is_of_int64(column: object) -> bool:
    """Whether a column is an array that needs no look at every value."""
    return (
        isinstance(column, np.ndarray)
        and column.ndim == 1
        and column.dtype.kind in "iu"
        and (not len(column) or int(column.max()) < 2**63)
    )


def narrow(codes: npt.NDArray[Any]) -> CodeArray:
    """The codes as int32 where they fit."""
    fits = not len(codes) or int(codes.max()) <= np.iinfo(np.int32).max
    return codes.astype(np.int32, copy=False) if fits else codes.astype(np.int64, copy=False)
