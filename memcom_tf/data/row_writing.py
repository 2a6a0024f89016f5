"""The files of a prepared data set of rows: shards of each part, and the vocabularies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.data.engine import Report
from memcom_tf.data.inputs import sha256_of
from memcom_tf.data.manifest import RowShard
from memcom_tf.data.row_fields import encoded
from memcom_tf.data.row_parts import PARTS
from memcom_tf.data.sql_rows import SqlRows
from memcom_tf.data.writing import Finished
from memcom_tf.features import Categorical, Numeric
from memcom_tf.features.fields import FIRST_ID
from memcom_tf.features.fitting import NUM_BINS, numeric_field, quantiles
from memcom_tf.vocabulary import Vocabulary

VOCABULARIES = "vocabularies.parquet"


def write_rows(
    rows: SqlRows,
    categorical: list[Categorical],
    label: str,
    shards: int,
    out: Path,
    report: Report,
) -> list[RowShard]:
    """Writes the rows under the ids of their fields; files that a stopped run wrote are kept.

    Args:
        rows: The rows.
        categorical: Their categories, in the order of `rows.categorical`.
        label: What the column of labels is called.
        shards: How many files each part has.
        out: The folder to write to.
        report: Called with a line for every file, where there are several.

    Returns:
        The files: those for training, for validation, and for test.
    """
    names = [
        f"{part}-{shard:05}-of-{shards:05}.parquet" for part in PARTS for shard in range(shards)
    ]
    finished = Finished(out)
    noted = list(takewhile(bool, map(finished.get, names)))
    first = len(noted)
    if first:
        report(f"{first} of {len(names)} files are written already")
    if first < len(names):
        schema = _schema(rows, categorical, label)
        batches = encoded(rows, categorical, shards, first)
        for number, tables in _by_file(batches, first, len(names)):
            written = _write(out / names[number], tables, schema)
            noted.append(finished.add(names[number], rows=written))
            if shards > 1:
                report(f"wrote {number + 1} of {len(names)} files")
    return [
        RowShard(name, part=PARTS[number // shards], **(figures or {}))
        for number, (name, figures) in enumerate(zip(names, noted, strict=True))
    ]


def _schema(rows: SqlRows, categorical: list[Categorical], label: str) -> Any:
    import pyarrow as pa

    ids = pa.int32()
    return pa.schema(
        [
            (label, pa.bool_()),
            *((of.name, pa.list_(ids) if of.has_several else ids) for of in categorical),
            *((name, pa.float32()) for name in rows.numeric),
        ]
    )


def _by_file(batches: Iterator[Any], first: int, end: int) -> Iterator[tuple[int, Iterator[Any]]]:
    """The number of each file, and its rows, some at a time; all of them must be taken."""
    import pyarrow as pa

    pieces: Iterator[tuple[int, Any]] = (
        (int(files[low]), batch.slice(low, high - low))
        for batch in batches
        if batch.num_rows
        for files in [batch.column("file").to_numpy()]
        for low, high in _runs(files)
    )
    waiting = next(pieces, None)
    for number in range(first, end):

        def of_file(number: int = number) -> Iterator[Any]:
            nonlocal waiting
            while waiting is not None and waiting[0] == number:
                yield pa.Table.from_batches([waiting[1]]).drop_columns(["file"])
                waiting = next(pieces, None)

        yield number, of_file()


def _runs(files: np.ndarray) -> list[tuple[int, int]]:
    """Where in rising numbers each begins and ends."""
    edges = [0, *(np.flatnonzero(np.diff(files)) + 1).tolist(), len(files)]
    return list(pairwise(edges))


def _write(path: Path, tables: Iterator[Any], schema: Any) -> int:
    """Writes the rows of a file; returns how many there are."""
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for table in tables:
            named = table.rename_columns(schema.names).cast(schema)
            file.write_table(named, row_group_size=2**16)
            rows += table.num_rows
    return rows


def fit_numbers(rows: SqlRows, folder: Path, shards: list[RowShard]) -> list[Numeric]:
    """The fields of numbers, fitted on the shards for training."""
    import pyarrow.parquet as pq

    paths = [folder / shard.file for shard in shards if shard.part == "train"]
    found = []
    for place, name in enumerate(rows.numeric):
        boundaries = rows.quantiles(place, quantiles(NUM_BINS))

        def blocks(name: str = name) -> Iterator[np.ndarray]:
            for path in paths:
                column = pq.read_table(path, columns=[name]).column(0).drop_null()
                if len(column):
                    yield column.to_numpy().astype(np.float64)

        empty = next(blocks(), None) is None
        found.append(Numeric(name) if empty else numeric_field(name, boundaries, blocks))
    return found


def write_vocabularies(path: Path, categorical: list[Categorical]) -> None:
    """Writes the values of all categories, in the order of their ids, and how often they occur."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("field", pa.string()), ("value", pa.string()), ("count", pa.int64())])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for of in categorical:
            vocabulary = of.vocabulary
            assert isinstance(vocabulary, Vocabulary) and vocabulary.counts is not None
            values = list(vocabulary)
            columns = [[of.name] * len(values), values, vocabulary.counts.tolist()]
            file.write_table(pa.table(columns, schema=schema))


def vocabularies_entry(out: Path, categorical: list[Categorical]) -> dict[str, Any]:
    """What the manifest says of the vocabularies."""
    return {
        "file": VOCABULARIES,
        "sha256": sha256_of(out / VOCABULARIES),
        "sizes": {of.name: of.input_dim - FIRST_ID for of in categorical},
    }
