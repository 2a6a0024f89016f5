"""Queries that a ranker might get, drawn from what it knows of its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.features import draw_rows

_DRAWN = 256
_EMPTY = 1 / 64
"""Share of histories without an item."""


def draw_queries(model: Any) -> dict[str, npt.NDArray[Any]] | None:
    """Inputs of a model that ranks: histories of its items, and rows of its fields.

    Args:
        model: As `memcom_tf.models.RetrievalModel`.

    Returns:
        Arrays by name; None where a model has inputs of which nothing is known.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    if "history" in model.query_specs:
        items = np.setdiff1d(np.arange(1, model.item_embedding.input_dim), model.free_ids)
        found["history"] = draw_histories(items, model.history_length, _DRAWN)
    if model.features is not None:
        found |= draw_rows(model.features, _DRAWN)
    return found if set(found) == set(model.query_specs) else None


def draw_histories(
    items: npt.NDArray[np.integer], length: int, count: int
) -> npt.NDArray[np.int32]:
    """Histories `[count, length]` of as many items as may be, then zeros, some of them empty.

    The first is full, of the last item; the second is of the first item alone.
    """
    rng = np.random.default_rng(1)
    histories = items[rng.integers(0, len(items), (count, length))].astype(np.int32)
    known = rng.integers(1, length + 1, count)
    known[rng.random(count) < _EMPTY] = 0
    histories[np.arange(length) >= known[:, None]] = 0
    histories[0] = items[-1]
    histories[1] = 0
    histories[1, 0] = items[0]
    return histories
