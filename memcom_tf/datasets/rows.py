"""Rows of fields: categories and numbers with a label, such as impressions that were clicked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import argument, invalid

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from typing_extensions import Self

SEPARATOR = "|"
"""Between the values of a field that has several, unless said otherwise."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are what.

    Attributes:
        label: The column of labels, 0 or 1; None where there are none, as in rows to score.
        categorical: Columns of categories, strings or integers.
        numeric: Columns of numbers.
        several: Of the categorical ones those with several values in a field, and what separates
            them, such as `{"genres": "|"}`.
        time: The column of times; None where there is none.
        test: The column of 0 and 1 that says what is held out; None where there is none.
        texts: Of the categorical ones those of texts, which may have several lines.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "columns.toml"
        ...     _ = path.write_text('label = "click"' + chr(10) + 'categorical = ["site"]')
        ...     columns = Columns.from_toml(path)
        >>> columns.label, columns.fields
        ('click', ('site',))
    """

    label: str | None = None
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    several: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    test: str | None = None
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("categorical", "numeric", "texts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        named = [*self.fields, *filter(None, (self.label, self.test))]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise invalid("A column must be one thing.", "Name it once.", twice=twice)
        if "" in self.several.values():
            raise invalid("What separates values must not be empty.", "", several=self.several)
        unknown = sorted({*self.several, *self.texts} - set(self.categorical))
        if unknown:
            raise invalid(
                "Fields of several values, and of texts, must be among the categorical ones.",
                "",
                unknown=unknown,
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """The categorical columns, then the numeric ones."""
        return (*self.categorical, *self.numeric)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file of `label`, `categorical`, `numeric`, `time`, `test` and `[several]`.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is no such file.
        """
        must = "The file must be TOML that says which columns are what."
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid(must, str(error), path=str(path)) from error
        lists, texts = ("categorical", "numeric"), ("label", "time", "test")
        fits = all(
            (name in lists and _are_texts(value))
            or (name in texts and isinstance(value, str))
            or (name == "several" and isinstance(value, dict) and _are_texts([*value.values()]))
            for name, value in found.items()
        )
        if not fits:
            raise invalid(
                must,
                'For example: label = "click", categorical = ["site", "genres"], '
                'numeric = ["age"], time = "hour", and [several] with genres = "|".',
                received={name: shown(str(value)) for name, value in found.items()},
                path=str(path),
            )
        return cls(**found)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of fields, in columns of equal length.

    Attributes:
        categorical: Name -> [n] strings, "" where a value is missing.
        numeric: Name -> [n] float32, NaN where a value is missing.
        several: Of the categorical fields those of several values, and what separates them.
        label: [n] booleans; None where there are none.
        time: [n] times; None where the order of the rows says nothing.
        is_test: [n] which rows are held out; None where the data does not say.

    Raises:
        ValueError: If there is no field, or columns differ in length.

    Example:
        >>> rows = Rows.of({"site": ["a", "b", "a"]}, {"age": [31, None, 18]}, label=[1, 0, 0])
        >>> len(rows), rows[:2].numeric["age"].tolist()
        (3, [31.0, nan])
    """

    categorical: Mapping[str, Labels] = field(default_factory=dict)
    numeric: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    several: Mapping[str, str] = field(default_factory=dict)
    label: npt.NDArray[np.bool_] | None = None
    time: npt.NDArray[Any] | None = None
    is_test: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        lengths = {
            name: len(column)
            for name, column in {
                **self.categorical,
                **self.numeric,
                "label": self.label,
                "time": self.time,
                "is_test": self.is_test,
            }.items()
            if column is not None
        }
        if "" in self.several.values():
            raise invalid("What separates values must not be empty.", "", several=self.several)
        if not self.categorical and not self.numeric:
            raise invalid(
                "Rows must have fields.",
                f"Name them: {argument('categorical')} or {argument('numeric')}.",
            )
        if len(set(lengths.values())) > 1:
            raise invalid("The columns must have equal lengths.", "", **lengths)

    @classmethod
    def of(
        cls,
        categorical: Mapping[str, Sequence[Any]] | None = None,
        numeric: Mapping[str, Sequence[Any]] | None = None,
        **others: Any,
    ) -> Self:
        """Rows from lists or arrays.

        Args:
            categorical: Name -> strings or integers, None or "" where a value is missing.
            numeric: Name -> numbers, None or NaN where a value is missing.
            **others: `several`, `label`, `time` and `is_test` of the class.
        """
        label = others.pop("label", None)
        return cls(
            {
                name: Labels.encode(["" if v is None else str(v) for v in values], name)
                if not isinstance(values, Labels)
                else values
                for name, values in (categorical or {}).items()
            },
            {name: np.asarray(values, np.float32) for name, values in (numeric or {}).items()},
            label=None if label is None else np.asarray(label).astype(bool),
            **others,
        )

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """The labels.

        Raises:
            ValueError: If there are none.
        """
        if self.label is None:
            raise invalid(
                "The rows must have labels.", f"Name the column of labels: {argument('label')}."
            )
        return self.label

    def __len__(self) -> int:
        lengths = [*map(len, self.categorical.values()), *map(len, self.numeric.values())]
        return lengths[0]

    def __getitem__(self, rows: Any) -> Rows:
        """Some of the rows: a slice, numbers or a mask."""
        return Rows(
            {name: column[rows] for name, column in self.categorical.items()},
            {name: column[rows] for name, column in self.numeric.items()},
            self.several,
            *(None if c is None else c[rows] for c in (self.label, self.time, self.is_test)),
        )

    def __repr__(self) -> str:
        fields = f"{len(self.categorical)} categorical and {len(self.numeric)} numeric fields"
        clicks = "" if self.label is None else f", {self.label.mean():.1%} labelled 1"
        return f"<Rows: {len(self):,} of {fields}{clicks}>"
