"""Rows that might occur, drawn from what is known of fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.features.fields import FIRST_ID, Categorical, Features, Numeric
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID, Vocabulary

_MISSING = 0.05
_UNKNOWN = 0.05
_FAR = 0.002
"""Share of numbers beyond those of training."""


def draw_rows(features: Features, count: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """The inputs of a model for rows whose fields are drawn one by one.

    Categories are drawn by their counts, a twentieth of them missing and a twentieth unknown;
    numbers between the boundaries of each other, some of them missing, and some beyond all.

    Args:
        features: The fields.
        count: Rows.
        seed: The same seed gives the same rows.

    Returns:
        What `Features.encode` returns for as many rows.

    Example:
        >>> features = Features([Categorical("site", 9)], [Numeric("age", [20, 40])])
        >>> {name: values.shape for name, values in draw_rows(features, 5).items()}
        {'ids': (5, 1), 'numbers': (5, 1)}
    """
    rng = np.random.default_rng(seed)
    inputs: dict[str, npt.NDArray[Any]] = {}
    if features.categorical:
        ids = [_ids(of, count, rng) for of in features.categorical]
        inputs["ids"] = np.concatenate(ids, axis=1)
    if features.numeric:
        inputs["numbers"] = np.stack([_numbers(of, count, rng) for of in features.numeric], axis=1)
    return inputs


def _ids(of: Categorical, count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    shape = count, of.length
    known = of.input_dim - FIRST_ID
    shares = None
    if isinstance(of.vocabulary, Vocabulary) and of.vocabulary.counts is not None:
        counts = of.vocabulary.counts + 1.0
        shares = counts / counts.sum()
    ids = np.full(shape, SHARED_ID, np.int32)
    if known:
        ids = (FIRST_ID + rng.choice(known, shape, p=shares)).astype(np.int32)
    chance = rng.random(shape)
    ids[chance < _UNKNOWN] = SHARED_ID
    if not of.has_several:
        ids[chance > 1 - _MISSING] = PADDING_ID
        return ids
    lengths = rng.integers(0, of.length + 1, count)
    return np.where(np.arange(of.length) < lengths[:, None], ids, PADDING_ID).astype(np.int32)


def _numbers(of: Numeric, count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    edges = np.asarray(of.boundaries or (-1.0, 1.0), np.float64)
    place = rng.integers(0, len(edges), count)
    next_one = np.minimum(place + 1, len(edges) - 1)
    numbers = edges[place] + rng.random(count) * (edges[next_one] - edges[place])
    far = rng.random(count) < _FAR
    spread = max(1.0, float(np.abs(edges).max()))
    numbers[far] = rng.normal(0.0, 3.0 * spread, count)[far]
    numbers[rng.random(count) < _MISSING] = np.nan
    return numbers.astype(np.float32)
