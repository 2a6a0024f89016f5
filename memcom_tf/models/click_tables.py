"""The tables of a click model: which are full, and layers for those that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.features import Features, Numeric
from memcom_tf.layers import (
    METHODS,
    CompressedEmbedding,
    MultiLayerEmbedding,
    QuotientRemainderEmbedding,
)
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary import SHARED_ID

MIN_ROWS = 1000
"""Tables of fewer rows are left full, by default."""
_LEAST_WIDTH = 4
"""Narrower vectors are all shared."""
_INNER = 16
"""How many times wider than the vectors MultiLayerEmbedding is in training."""


def compressed_tables(
    features: Features,
    method: str,
    ratio: float,
    *,
    width: int = 16,
    min_rows: int = MIN_ROWS,
    **kwargs: Any,
) -> dict[str, CompressedEmbedding]:
    """A layer of a method for every table of categories that is large, so many times smaller.

    Args:
        features: The fields.
        method: Name of a registered method, such as "QuotientRemainderEmbedding".
        ratio: How many times smaller than a full table.
        width: Width of the vectors.
        min_rows: Tables of fewer rows are left full.
        **kwargs: Arguments of the method.

    Returns:
        Layers by the name of the table, as `ClickModel` takes them. A table of which the method
        cannot be as small as asked gets its smallest. Methods without a size of their own,
        FullEmbedding and MultiLayerEmbedding, are as many times narrower. Of
        QuotientRemainderEmbedding each id has a number of its own up to half of the width.

    Raises:
        ValueError: If there is no such method, or the ratio is below 1.

    Example:
        >>> from memcom_tf.features import Categorical, Features
        >>> features = Features([Categorical("site", 50_000), Categorical("device", 40)])
        >>> tables = compressed_tables(features, "QuotientRemainderEmbedding", 8)
        >>> {name: round(layer.compression_ratio) for name, layer in tables.items()}
        {'site': 8}
    """
    if method not in METHODS:
        raise invalid(f"`method` must be one of {sorted(METHODS)}.", method=method)
    if not ratio >= 1:
        raise invalid("`ratio` must be 1 or more.", ratio=ratio)
    check_positive(min_rows=min_rows, width=width)
    found = {}
    defaults = better_arguments(METHODS[method], width, ratio)
    for name, rows in features.tables.items():
        if rows >= min_rows:
            named = {"name": layer_name(features, name), **defaults, **kwargs}
            found[name] = _at_ratio(METHODS[method], rows, width, ratio, **named)
    return found


def better_arguments(
    method: type[CompressedEmbedding], width: int, ratio: float
) -> dict[str, int | float | str]:
    """Arguments with which a method is better in click models than with its own defaults."""
    if method is MultiLayerEmbedding:
        return {"inner_dim": _INNER * width}
    if method is QuotientRemainderEmbedding:
        # A number of each id's own, where it is no more than half of the bytes.
        fits = width >= _LEAST_WIDTH and ratio <= width / 2
        return {"operation": "concat" if width > 1 else "mult", "own_dim": int(fits)}
    return {}


def _at_ratio(
    method: type[CompressedEmbedding], rows: int, width: int, ratio: float, **kwargs: Any
) -> CompressedEmbedding:
    if method.size_argument is None:
        narrow = max(1, int(width / ratio))
        return method(rows, narrow, **kwargs)
    sizes = method.size_range(rows, width, **{k: v for k, v in kwargs.items() if k != "name"})
    arguments: dict[str, Any] = {**kwargs, method.size_argument: sizes[0]}
    smallest = method(rows, width, **arguments)
    if smallest.compression_ratio <= ratio:
        return smallest
    return method.for_ratio(rows, width, ratio, **kwargs)


def layer_name(features: Features, table: str) -> str:
    """The name of the layer of a table: any text as a name that TensorFlow takes, and only once."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in table)
    return f"table_{list(features.tables).index(table)}_{plain}"


def all_tables(features: Features) -> dict[str, int]:
    """Rows of every table, of numbers too, by name."""
    return {**features.tables, **{table_of(of): of.input_dim for of in features.numeric}}


def table_of(of: Numeric) -> str:
    """The name of the table of a field of numbers."""
    return f"{of.name} (number)"


def rows_of_full_tables(
    features: Features, tables: Mapping[str, CompressedEmbedding]
) -> dict[str, int]:
    """Rows of the tables that have no layer of their own, by name."""
    return {name: rows for name, rows in all_tables(features).items() if name not in tables}


def check_tables(features: Features, tables: Mapping[str, CompressedEmbedding], width: int) -> None:
    """Requires that layers fit the tables that they are for.

    Raises:
        ValueError: Naming one that does not.
    """
    known = features.tables
    for name, layer in tables.items():
        if name not in known:
            raise invalid(
                "Layers must be for tables of categories.", f"They are {list(known)}.", table=name
            )
        fits = layer.output_dim <= width or layer.output_dim % width == 0
        if layer.input_dim != known[name] or not fits:
            raise invalid(
                f"The layer of table {name!r} must have {known[name]} ids, and be at most "
                f"{width} wide, or a multiple of it.",
                input_dim=layer.input_dim,
                output_dim=layer.output_dim,
            )
        if layer.combiner is not None:
            raise invalid(
                "The model pools by itself: `combiner` of its layers must be None.",
                combiner=layer.combiner,
            )


def lookups(features: Features, inputs: Any) -> list[tuple[str, Any]]:
    """The table of each field of categories, and the ids `[b, length]` that are looked up in it."""
    if not features.categorical:
        return []
    ids = tf.cast(inputs["ids"], tf.int32)
    sizes = np.concatenate([[of.input_dim] * of.length for of in features.categorical])
    known = tf.logical_and(ids >= 0, ids < tf.constant(sizes, tf.int32))
    ids = tf.where(known, ids, SHARED_ID)
    parts, first = [], 0
    for of in features.categorical:
        parts.append((of.table, ids[:, first : first + of.length]))
        first += of.length
    return parts
