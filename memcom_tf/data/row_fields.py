"""Fields of rows in SQL: their vocabularies, and the ids of every text that occurs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from memcom_tf.data.sql_rows import SqlRows
from memcom_tf.features import Categorical
from memcom_tf.features.fields import FIRST_ID
from memcom_tf.features.fitting import MOST_VALUES, field_vocabulary
from memcom_tf.vocabulary import PADDING_ID, SHARED_ID


def fit_categories(rows: SqlRows, several: dict[str, str], min_count: int) -> list[Categorical]:
    """The categories, fitted on the rows for training as `memcom_tf.features.fit_features` does.

    It makes a table `ids0`, `ids1`, ... of each: a text, and its id or its list of ids.

    Args:
        rows: The rows, whose texts are counted.
        several: What separates the values of those of several.
        min_count: As of `fit_features`.

    Returns:
        The fields, in the order of `rows.categorical`.
    """
    return [
        _fitted(rows, place, name, several.get(name), min_count)
        for place, name in enumerate(rows.categorical)
    ]


def _fitted(
    rows: SqlRows, place: int, name: str, separator: str | None, min_count: int
) -> Categorical:
    sql = rows.sql
    texts = f"SELECT text, n FROM texts WHERE field = 'c{place}'"
    length, counted = 1, f"SELECT text AS value, n FROM ({texts}) WHERE n > 0"
    if separator is not None:
        values = sql.dialect.cut("text", separator)
        sql.keep("lists", f"SELECT *, {values} AS found FROM ({texts})")
        sql.keep("listed", sql.dialect.unnested("found", "lists"))
        (longest,) = sql.values("SELECT coalesce(max(place), 0) FROM listed WHERE n > 0")
        length = min(MOST_VALUES, max(1, longest))
        counted = "SELECT value, CAST(sum(n) AS BIGINT) AS n FROM listed WHERE n > 0 GROUP BY value"
    kept = f"SELECT value, n FROM ({counted})"
    frequent = sql.rows(f"{kept} WHERE n >= {min_count}")
    found = frequent or sql.rows(f"{kept} ORDER BY n DESC, value LIMIT 1")
    vocabulary = field_vocabulary(dict(found), min_count)
    _give_ids(rows, place, list(vocabulary), length if separator is not None else None)
    return Categorical(name, vocabulary.input_dim, length, separator, vocabulary=vocabulary)


def _give_ids(rows: SqlRows, place: int, values: list[str], length: int | None) -> None:
    """Makes the table of texts with their ids; `length` is that of a field of several values."""
    import pyarrow as pa

    sql, name = rows.sql, f"ids{place}"
    ids = np.arange(FIRST_ID, FIRST_ID + len(values), dtype=np.int32)
    table = pa.table({"text": pa.array(values, pa.string()), "id": ids})
    if length is None:
        sql.give(name, table)
        return
    sql.give("known", table)
    listed = sql.dialect.in_order(f"coalesce(k.id, {SHARED_ID})", "l.place")
    sql.keep(
        name,
        f"SELECT l.text, {listed} AS id FROM listed l LEFT JOIN known k ON l.value = k.text "
        f"WHERE l.place <= {length} GROUP BY l.text",
    )


def encoded(
    rows: SqlRows, categorical: list[Categorical], shards: int, first: int
) -> Iterator[Any]:
    """The rows under their ids, file by file, as batches of Arrow.

    Args:
        rows: The rows.
        categorical: What `fit_categories` returned.
        shards: How many files each part has. Rows are dealt out to them in turn.
        first: The file to begin with.

    Yields:
        `file`, `label`, and in the order of the fields `c0`, ... ids and `n0`, ... numbers.
    """
    columns = [f"part * {shards} + row % {shards} AS file", "label"]
    joins = ["parts"]
    for place, of in enumerate(categorical):
        found, missing = f"ids{place}.id", f"{PADDING_ID}"
        if of.has_several:
            columns.append(f"coalesce({found}, {rows.sql.dialect.no_ids}) AS c{place}")
        else:
            known = f"coalesce({found}, {SHARED_ID})"
            text = f"parts.c{place}"
            columns.append(
                f"CAST(CASE WHEN {text} IS NULL THEN {missing} ELSE {known} END AS INTEGER) "
                f"AS c{place}"
            )
        joins.append(f"LEFT JOIN ids{place} ON parts.c{place} = ids{place}.text")
    columns += [f"n{place}" for place in range(len(rows.numeric))]
    return rows.sql.batches(
        f"SELECT {', '.join(columns)} FROM {' '.join(joins)} "
        f"WHERE part * {shards} + row % {shards} >= {first} ORDER BY file, {rows.order}"
    )
