"""The rows of the benchmark of click models: what is read, and how they are split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from memcom_tf.datasets import Columns, Rows, load_rows
from memcom_tf.evaluation import split_rows
from memcom_tf.evaluation.rows import RowSplit

_MISSING = -1000
"""Of the numbers in a matrix."""


@dataclass(frozen=True)
class Data:
    """Rows, split once for all runs.

    Attributes:
        name: What the runs call them.
        split: Training, validation and test, the same for all seeds.
        fingerprint: Of all of it.
    """

    name: str
    split: RowSplit
    fingerprint: str

    @property
    def described(self) -> str:
        """How the rows are split, in words."""
        parts = self.split.train, self.split.validation, self.split.test
        sizes = "{:,} rows to train on, {:,} for validation, {:,} for test".format(*map(len, parts))
        held_out = "the last rows are held out" if self.split.by_time else "split at random"
        return f"{sizes}; {held_out}"


def load(
    source: str | Path,
    columns: Columns | None = None,
    *,
    by_time: bool = False,
    validation: float = 0.1,
    test: float = 0.1,
    most: int | None = None,
) -> Data:
    """Reads and splits rows.

    Args:
        source: What `memcom_tf.datasets.load_rows` reads; or a .npz file with the matrix `cat` of
            integers, 0 where a value is missing, the vector `label`, and where there are numbers
            the matrix `dense`, -1000 where one is missing.
        columns: As of `load_rows`.
        by_time: Whether the rows are in the order of time; else their columns say it.
        validation: Share of all rows that are for validation.
        test: Share of all rows that are for test, where the columns do not say which.
        most: Of more rows these many are taken, at random or the first.
    """
    source = Path(source)
    rows = _of_matrices(source) if columns is None and _has_matrices(source) else None
    if rows is None:
        rows = load_rows(source, columns)
    if by_time:
        rows = replace(rows, time=np.arange(len(rows)))
    if most is not None and most < len(rows):
        ordered = rows.time is not None
        taken = np.random.default_rng(0).permutation(len(rows))[:most]
        rows = rows[np.argsort(rows.time, kind="stable")[:most] if ordered else np.sort(taken)]
    share = test if rows.is_test is None else float(rows.is_test.mean())
    split = split_rows(rows, validation=validation / (1 - share), test=test)
    return Data(source.stem, split, fingerprint(split))


def _has_matrices(source: Path) -> bool:
    if source.suffix != ".npz":
        return False
    with np.load(source) as arrays:
        return {"cat", "label"} <= set(arrays)


def _of_matrices(source: Path) -> Rows:
    with np.load(source) as arrays:
        found = {
            name: arrays[name] for name in ("cat", "label", "dense", "field") if name in arrays
        }
    categories = found["cat"]
    names = found.get("field", [f"C{place + 1}" for place in range(categories.shape[1])])
    numbers = found.get("dense", np.empty((len(categories), 0))).astype(np.float32)
    numbers[numbers == _MISSING] = np.nan
    return Rows.of(
        {
            str(name): [value or None for value in column.tolist()]
            for name, column in zip(names, categories.T, strict=True)
        },
        {f"I{place + 1}": column for place, column in enumerate(numbers.T)},
        label=found["label"],
    )


def fingerprint(split: RowSplit) -> str:
    """Twelve digits that tell splits apart."""
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.test):
        for name, column in part.categorical.items():
            digest.update(name.encode())
            digest.update("\0".join(map(str, column.values.tolist())).encode())
            digest.update(np.ascontiguousarray(column.codes))
        for name, numbers in part.numeric.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(numbers))
        digest.update(np.ascontiguousarray(part.labels))
    return digest.hexdigest()[:12]
