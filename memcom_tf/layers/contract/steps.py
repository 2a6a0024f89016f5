"""The arguments and arrays of steps that are trained: which tables have them, and of what shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.tables import Storage, StorageLike, Table


def checked_names(
    learned: bool | Sequence[str], storage: Mapping[str, StorageLike], *, quantization_aware: bool
) -> bool | list[str]:
    """The argument `learned_steps` of a layer, if its tables can have steps that are trained.

    Raises:
        ValueError: If they cannot.
    """
    if isinstance(learned, bool | np.bool_):
        learned, names = bool(learned), list(storage) if learned else []
    else:
        learned = names = [learned] if isinstance(learned, str) else list(learned)
    if learned and not quantization_aware:
        raise invalid(
            "`learned_steps` must be False where a layer does not compute with what is stored.",
            "Set `quantization_aware`.",
            learned_steps=learned,
            quantization_aware=False,
        )
    if unnamed := [name for name in names if name not in storage]:
        raise invalid(
            f"`learned_steps` must name tables that `storage` names, of {list(storage)}.",
            unnamed=unnamed,
        )
    if learned and not names:
        raise invalid(
            "`learned_steps` must be False where no table is stored in 4 or 2 bits.",
            'Name one in `storage`, as "int4_per_row".',
            storage=dict(storage),
        )
    others = {name: str(storage[name]) for name in names if not Storage.of(storage[name]).is_low}
    if others:
        raise invalid(
            "Steps are learned of tables of 4 or 2 bits, with a scale for each row or for the "
            "table.",
            "Store them so, or name only those that are in `learned_steps`.",
            **others,
        )
    return learned


def steps_name(table: str) -> str:
    """The name of the variable with the steps of a table, and of its array among the tables."""
    return f"{table}_steps"


def steps_shape(table: Table) -> tuple[int, int]:
    """One for each row, or one for the table."""
    return (table.rows if table.storage.scaled_by == "row" else 1, 1)


def checked_steps(table: Table, values: Any) -> np.ndarray:
    """Steps of a table as float32.

    Raises:
        ValueError: If their shape is wrong, or one is not positive and finite.
    """
    steps = np.asarray(values, np.float32)
    if steps.shape != steps_shape(table):
        raise invalid(
            f"The steps of table {table.name!r} must be {steps_shape(table)}.", shape=steps.shape
        )
    if not ((steps > 0) & np.isfinite(steps)).all():
        raise invalid(
            f"The steps of table {table.name!r} must be positive and finite.",
            "Leave them out for those of least squares.",
            smallest=steps.min().item(),
            largest=steps.max().item(),
        )
    return steps
