"""From a log to a prepared data set on disk."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memcom_tf._version import __version__
from memcom_tf.data.columns import Asked
from memcom_tf.data.engine import Counts, Engine, EngineName, Report
from memcom_tf.data.folders import begin, memory_limit, num_threads, publish, writing
from memcom_tf.data.inputs import LogFiles, Source, Table, opened_log, sha256_of
from memcom_tf.data.manifest import SEQUENCES, SETS, VOCABULARY, Manifest
from memcom_tf.data.opening import open_dataset
from memcom_tf.data.prepared_split import PreparedSplit
from memcom_tf.data.writing import training_counts, write_numbers, write_shards
from memcom_tf.datasets.logs import TimeColumn
from memcom_tf.errors import argument, invalid
from memcom_tf.vocabulary import OutOfVocabulary
from memcom_tf.vocabulary.parts import one_of


@dataclass(frozen=True)
class _Settings(Asked):
    min_count: int = 0
    max_size: int | None = None
    out_of_vocabulary: OutOfVocabulary = "error"
    interactions_of_shard: int = 2**21

    def __post_init__(self) -> None:
        if self.min_count < 0:
            raise invalid(
                f"{argument('min_count')} must be 0 or more.", "", min_count=self.min_count
            )
        if self.max_size is not None and self.max_size < 1:
            raise invalid(
                f"{argument('max_size')} must be positive.",
                "Leave it out for all items.",
                max_size=self.max_size,
            )
        if self.interactions_of_shard < 1:
            raise invalid(
                f"{argument('interactions_per_shard')} must be positive.",
                "The default is 2,097,152.",
                interactions_per_shard=self.interactions_of_shard,
            )
        one_of("out_of_vocabulary", self.out_of_vocabulary, OutOfVocabulary)
        if self.out_of_vocabulary == "error" and (self.min_count > 1 or self.max_size):
            raise invalid(
                "What becomes of items without an id must be known.",
                f"Leave their interactions out with {argument('out_of_vocabulary', 'drop')}, or "
                f"give them one id with {argument('out_of_vocabulary', 'share')}.",
                out_of_vocabulary="error",
                min_count=self.min_count,
                max_size=self.max_size,
            )


def prepare(
    sources: Source | Iterable[Source] | Table,
    output: str | os.PathLike[str],
    *,
    engine: EngineName = "duckdb",
    user: str | None = None,
    item: str | None = None,
    time: TimeColumn = None,
    test: str | None = "test",
    min_count: int = 0,
    max_size: int | None = None,
    out_of_vocabulary: OutOfVocabulary | None = None,
    interactions_per_shard: int = 2**21,
    memory: int | None = None,
    overwrite: bool = False,
    report: Report | None = None,
) -> PreparedSplit:
    r"""Writes a log as a data set that training reads without holding it in memory.

    The items get their ids, and the interactions are split, as `leave_last_out` does: of a user
    with at least 3 interactions the last is for test, the one before for validation. Where the log
    has a column `test`, it says what is held out, as of `hold_out`. The folder
    `output` then has the users with their sequences (Parquet), the vocabulary (Parquet) and
    `manifest.json`: settings, statistics, and hashes of what was read and written. It appears once
    it is complete. A run that was stopped has left a hidden folder beside it, from which the same
    call goes on.

    Args:
        sources: Files, folders of files, or patterns such as "day=*/*.parquet"; .csv, .tsv, .txt
            (also .gz, .zst) or .parquet. They may be URLs of object stores, such as
            "s3://bucket/log". Or the folder of a Delta table; or a table of pandas, Polars, Arrow
            or DuckDB, a `pyarrow.dataset.Dataset` or a `pyarrow.RecordBatchReader`, of which each
            row is an interaction.
        output: The folder to write.
        engine: What counts and orders: "duckdb" here, or "spark".
        user: The column of users, as `memcom_tf.datasets.load_interactions` finds it.
        item: The column of items, likewise.
        time: The column of times, as `memcom_tf.datasets.load_interactions` takes it.
        test: The column of 0 and 1 that says what is held out; "test" is read if the log has it,
            None reads none.
        min_count: Items that occur less often in training get no id.
        max_size: How many items get an id at most, the most frequent; None gives all one.
        out_of_vocabulary: What becomes of interactions with items without an id: "drop" leaves
            them out, "share" gives them the id 1. None is "error", and where `min_count` or
            `max_size` is given "drop".
        interactions_per_shard: How many interactions a file has, about.
        memory: Bytes of memory that the engine may take; None takes half of what is free, and
            3 GiB at most.
        overwrite: Whether a prepared data set at `output` is replaced.
        report: Called with lines on what is done.

    Returns:
        The data set, opened.

    Raises:
        ImportError: If the engine or pyarrow is not installed.
        OSError: If a file cannot be read or written, or `output` exists.
        ValueError: If an argument is out of range, the log is damaged, a value is missing or not
            what its column holds, or another process writes the same data set.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = Path(folder) / "log.csv"
        ...     _ = log.write_text("user,item\n" + "ann,tea\nann,milk\nann,bread\nann,salt\n")
        ...     data = prepare(log, Path(folder) / "data")
        ...     data.vocabulary.items(data.test.history).tolist()[0][:4]
        ['tea', 'milk', 'bread', None]
    """
    say = report or (lambda line: None)
    one_of("engine", engine, EngineName)
    if out_of_vocabulary is None:
        out_of_vocabulary = "drop" if min_count > 1 or max_size else "error"
    settings = _Settings(
        user, item, time, test, min_count, max_size, out_of_vocabulary, interactions_per_shard
    )
    with writing(output, overwrite) as (target, work):
        with opened_log(sources, target.parent) as files:
            _prepare(files, target, work, engine, settings, memory, say)
        return open_dataset(target)


def _prepare(
    files: LogFiles,
    target: Path,
    work: Path,
    engine_name: EngineName,
    settings: _Settings,
    memory: int | None,
    say: Report,
) -> None:
    start = clock.monotonic()
    inputs, out = begin(files, target, work, {"engine": engine_name, **asdict(settings)}, say)
    engine = _engine(files, engine_name, settings, work, memory, say)
    try:
        counts = engine.count(settings.interactions_of_shard)
        say(
            f"{counts.num_interactions:,} interactions of {counts.num_users:,} users with "
            f"{len(counts.items):,} items, {clock.monotonic() - start:.1f} s"
        )
        write_numbers(engine, counts, work, say)
        sets = engine.says_what_is_held_out
        trained, held_out = training_counts(
            work, len(counts.users_of_shard), len(counts.items), with_parts=sets
        )
        ids, first_id = _write_vocabulary(out, counts, trained, settings)
        shards = write_shards(engine, ids, first_id, counts, work, out, say)
    finally:
        engine.close()
    size = int((ids >= first_id).sum())
    statistics = {
        "users": counts.num_users,
        **held_out,
        "items": len(counts.items),
        "interactions": counts.num_interactions,
        "training_interactions_with_an_id": sum(shard.interactions for shard in shards),
        "training_examples": sum(shard.examples for shard in shards),
    }
    vocabulary = {
        "file": VOCABULARY,
        "sha256": sha256_of(out / VOCABULARY),
        "size": size,
        "out_of_vocabulary": settings.out_of_vocabulary,
    }
    made_by = {"memcom_tf": __version__, "engine": engine_name, "pyarrow": version("pyarrow")}
    recorded = {"protocol": SETS if sets else SEQUENCES, **asdict(settings)}
    Manifest(recorded, inputs, statistics, vocabulary, shards, made_by).save(out)
    publish(out, target)
    say(
        f"{target.name}: {size:,} items with an id, {statistics['training_examples']:,} training "
        f"examples in {len(shards):,} shards, {clock.monotonic() - start:.1f} s"
    )


def _engine(
    files: LogFiles,
    name: EngineName,
    settings: _Settings,
    work: Path,
    memory: int | None,
    say: Report,
) -> Engine:
    limit = memory_limit(memory)
    if name == "spark":
        from memcom_tf.data.spark_engine import SparkEngine

        return SparkEngine(files, settings, folder=work, memory_bytes=limit, report=say)
    from memcom_tf.data.duckdb_engine import DuckDBEngine

    return DuckDBEngine(
        files, settings, folder=work, memory_bytes=limit, threads=num_threads(), report=say
    )


def _write_vocabulary(
    out: Path, counts: Counts, trained: npt.NDArray[np.int64], settings: _Settings
) -> tuple[npt.NDArray[np.int32], int]:
    """Writes the items in the order of their ids; returns the ids by number, and the first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Falling count, ties by value: numbers are in the order of the values, and the sort is stable.
    order = np.argsort(-trained, kind="stable")
    chosen = order[trained[order] >= settings.min_count][: settings.max_size]
    if not len(chosen):
        raise invalid(
            f"{argument('min_count')} must leave at least one item.",
            f"The most frequent item occurs {trained.max()} times in training: pass at most that.",
            min_count=settings.min_count,
        )
    shares = settings.out_of_vocabulary == "share"
    first_id = 2 if shares else 1
    ids = np.full(len(trained), 1 if shares else 0, np.int32)
    ids[chosen] = np.arange(first_id, first_id + len(chosen), dtype=np.int32)
    table = pa.table({"item": counts.items.take(pa.array(chosen)), "count": trained[chosen]})
    pq.write_table(table, out / VOCABULARY, compression="zstd")
    return ids, first_id
