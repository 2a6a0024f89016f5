"""From rows of fields to a prepared data set on disk."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from memcom_tf._version import __version__
from memcom_tf.data.engine import EngineName, Report, num_shards
from memcom_tf.data.folders import begin, memory_limit, num_threads, publish, writing
from memcom_tf.data.inputs import LogFiles, Source, Table, opened_log
from memcom_tf.data.manifest import ROWS, Manifest, RowShard
from memcom_tf.data.prepared_rows import PreparedRows, open_rows
from memcom_tf.data.row_fields import fit_categories
from memcom_tf.data.row_parts import PARTS, Cut, check_parts
from memcom_tf.data.row_writing import (
    VOCABULARIES,
    fit_numbers,
    vocabularies_entry,
    write_rows,
    write_vocabularies,
)
from memcom_tf.data.sql_rows import SqlRows
from memcom_tf.data.statements import Statements
from memcom_tf.data.writing import SHARDS
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.row_files import Layout, RowFormat, check_fields, layout_of, reading
from memcom_tf.datasets.rows import Columns
from memcom_tf.errors import argument, invalid
from memcom_tf.features import Features
from memcom_tf.tables import check_positive
from memcom_tf.vocabulary.parts import one_of


@dataclass(frozen=True)
class _Settings:
    columns: Columns | None
    format: RowFormat | None
    min_count: int
    rows_per_shard: int
    cut: Cut

    def __post_init__(self) -> None:
        check_positive(min_count=self.min_count)
        if self.rows_per_shard < 100:
            raise invalid(
                f"{argument('rows_per_shard')} must be at least 100.",
                "The default is 524,288.",
                rows_per_shard=self.rows_per_shard,
            )


def prepare_rows(
    sources: Source | Iterable[Source] | Table,
    output: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    format: RowFormat | None = None,
    engine: EngineName = "duckdb",
    min_count: int = 2,
    seed: int = 0,
    rows_per_shard: int = 2**19,
    memory: int | None = None,
    overwrite: bool = False,
    report: Report | None = None,
) -> PreparedRows:
    r"""Writes rows of fields as a data set that click models are trained on, shard by shard.

    The rows are split as `memcom_tf.evaluation.split_rows` splits them, and the fields are fitted
    on those for training, as `memcom_tf.features.fit_features` does. The folder `output` then has
    the rows of each part under the ids of their fields (Parquet), the vocabularies (Parquet) and
    `manifest.json`. As with `prepare`, it appears once it is complete, and a run that was stopped
    is gone on with.

    Args:
        sources: Files, folders or patterns, or a table, as of `prepare`.
        output: The folder to write.
        columns: Which columns are what, with a label; None where the format is known, as of
            `memcom_tf.datasets.load_rows`.
        format: "criteo" or "avazu", where the files do not look like it.
        engine: As of `prepare`.
        min_count: As of `fit_features`.
        seed: Seed of the split, where rows are held out at random.
        rows_per_shard: How many rows the files of a shard have together, about.
        memory: As of `prepare`.
        overwrite: As of `prepare`.
        report: As of `prepare`.

    Returns:
        The data set, opened.

    Raises:
        ImportError: If the engine or pyarrow is not installed.
        OSError: If a file cannot be read or written, or `output` exists.
        ValueError: As `prepare`, `load_rows` and `split_rows`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "rows.csv"
        ...     lines = [f"{row % 2},s{row % 3},{row}" for row in range(200)]
        ...     _ = path.write_text("\n".join(["click,site,age", *lines]))
        ...     columns = Columns("click", ["site"], ["age"])
        ...     data = prepare_rows(path, Path(folder) / "data", columns)
        ...     len(data.train), data.features.tables
        (162, {'site': 5})
    """
    say = report or (lambda line: None)
    one_of("engine", engine, EngineName)
    settings = _Settings(columns, format, min_count, rows_per_shard, Cut(seed=seed))
    with writing(output, overwrite) as (target, work):
        with opened_log(sources, target.parent, _names_in(settings)) as files:
            _prepare(files, target, work, engine, settings, memory, say)
        return open_rows(target)


def _names_in(settings: _Settings) -> Any:
    """What gives the columns of a file of lines whose first line does not name them."""
    return lambda file: layout_of(file, settings.columns, settings.format).names


def _prepare(
    files: LogFiles,
    target: Path,
    work: Path,
    engine: EngineName,
    settings: _Settings,
    memory: int | None,
    say: Report,
) -> None:
    start = clock.monotonic()
    layout = _layout(files, settings)
    say(reading(layout.columns))
    recorded = {
        "protocol": ROWS,
        "columns": {**asdict(layout.columns), "several": dict(layout.columns.several)},
        "format": layout.format,
        "min_count": settings.min_count,
        "rows_per_shard": settings.rows_per_shard,
        **settings.cut._asdict(),
    }
    inputs, out = begin(files, target, work, {"engine": engine, **recorded}, say)
    statements = _statements(files, engine, work, memory_limit(memory), say)
    try:
        rows = SqlRows(files, layout, statements, say)
        count = rows.check()
        rows.split(count, settings.cut, work)
        sizes = rows.part_sizes()
        check_parts(sizes)
        say(f"{count:,} rows, {sizes[0][0]:,} for training, {clock.monotonic() - start:.1f} s")
        rows.count_texts()
        categorical = fit_categories(rows, dict(layout.columns.several), settings.min_count)
        shards = min(num_shards(count, settings.rows_per_shard), min(n for n, _ in sizes.values()))
        label = str(layout.columns.label)
        written = write_rows(rows, categorical, label, shards, out, say)
        numeric = fit_numbers(rows, out, written)
    finally:
        statements.close()
    (out / SHARDS).unlink(missing_ok=True)
    write_vocabularies(out / VOCABULARIES, categorical)
    Manifest(
        recorded,
        inputs,
        _statistics(written, sizes, rows.by_time),
        vocabularies_entry(out, categorical),
        written,
        {"memcom_tf": __version__, "engine": engine, "pyarrow": version("pyarrow")},
        Features(categorical, numeric).to_config(),
    ).save(out)
    publish(out, target)
    say(f"{target.name}: {count:,} rows in {shards:,} shards, {clock.monotonic() - start:.1f} s")


def _statements(
    files: LogFiles, engine: EngineName, work: Path, limit: int, say: Report
) -> Statements:
    if engine == "spark":
        from memcom_tf.data.spark_statements import SparkStatements

        return SparkStatements(files, work, limit, say)
    from memcom_tf.data.duckdb_files import DuckDBFile

    return DuckDBFile(files, work, limit, num_threads(), say)


def _layout(files: LogFiles, settings: _Settings) -> Layout:
    """What the columns are, all of which the first file has."""
    path = files.paths[0]
    layout = layout_of(open_columns(path), settings.columns, settings.format)
    check_fields(open_columns(path, layout.names), layout.columns)
    if layout.columns.label is None:
        raise invalid(
            "The column of labels must be named.",
            f"Name it with {argument('label')}.",
            path=str(path),
        )
    return layout


def _statistics(
    shards: list[RowShard], sizes: dict[int, tuple[int, int]], by_time: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": sum(shard.rows for shard in shards), "by_time": by_time}
    for place, name in enumerate(PARTS):
        found[name], found[f"{name}_labelled_1"] = sizes[place]
    return found
