"""Which rows are for training, validation and test, as `split_rows` says, of any number of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid

PARTS = "train", "validation", "test"
_BLOCK = 2**20
_LEAST = 10


class Cut(NamedTuple):
    """How rows are split.

    Attributes:
        validation: Share of the rows that are not for test.
        test: Share of all rows, where these do not say.
        seed: Seed of what is at random.
    """

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0


def sizes_of(rows: int, cut: Cut, flagged: int | None) -> tuple[int, int]:
    """How many rows are for validation and for test.

    Args:
        rows: How many there are.
        cut: The shares.
        flagged: How many say that they are held out; None where they do not say.

    Example:
        >>> sizes_of(200, Cut(), None), sizes_of(200, Cut(), 50)
        ((18, 20), (15, 50))
    """
    test = round(cut.test * rows) if flagged is None else flagged
    return round(cut.validation * (rows - test)), test


def permuted(rows: int, seed: int, validation: int, test: int, is_test: Any, folder: Path) -> Any:
    """The rows that are held out at random.

    The order is in a file, of which the system keeps in memory what it has room for.

    Args:
        rows: How many rows there are.
        seed: Seed of the order.
        validation: How many are for validation.
        test: How many are for test.
        is_test: An Arrow array of which rows are; None draws them.
        folder: Where the file is.

    Returns:
        A table of Arrow of `row` and `part`: 1 for validation, 2 for test.
    """
    import pyarrow as pa

    path = folder / "order"
    order: npt.NDArray[np.int64] = np.memmap(path, np.int64, "w+", shape=rows)
    for first in range(0, rows, _BLOCK):
        order[first : first + _BLOCK] = np.arange(first, min(rows, first + _BLOCK))
    np.random.default_rng(seed).shuffle(order)
    if is_test is None:
        rest, last = order[: rows - test], np.array(order[rows - test :])
        middle = np.array(rest[len(rest) - validation :])
    else:
        flags = is_test.to_numpy(zero_copy_only=False)
        middle, last = _last(order, ~flags, validation), np.flatnonzero(flags)
    part = np.repeat(np.array([1, 2], np.int8), [len(middle), len(last)])
    found = pa.table({"row": np.concatenate([middle, last]), "part": part})
    path.unlink()
    return found


def _last(
    order: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.int64]:
    """The last of the chosen rows in an order, which is not read as a whole."""
    found: list[npt.NDArray[np.int64]] = []
    for stop in range(len(order), 0, -_BLOCK):
        block = order[max(0, stop - _BLOCK) : stop]
        found.insert(0, block[chosen[block]])
        if sum(map(len, found)) >= count:
            break
    whole = np.concatenate(found)
    return whole[len(whole) - count :]


def check_parts(sizes: dict[int, tuple[int, int]]) -> None:
    """Requires that every part has rows of both kinds.

    Args:
        sizes: Of each part how many rows it has, and how many labelled 1.

    Raises:
        ValueError: If one has not.
    """
    for place, name in enumerate(PARTS):
        rows, clicks = sizes.get(place, (0, 0))
        if rows < _LEAST or clicks in (0, rows):
            raise invalid(
                f"Every part must have {_LEAST} rows, and labels of both kinds.",
                "Prepare more rows, or give another column of what is held out.",
                part=name,
                rows=rows,
            )
