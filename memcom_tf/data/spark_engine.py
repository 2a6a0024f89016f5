"""Spark as the engine: on a cluster, or in local processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np

from memcom_tf.data.columns import (
    EXACT_IN_FLOAT,
    INTEGER_LABEL,
    TIME_PATTERNS,
    Asked,
    ColumnKind,
    LogColumns,
    TimeKind,
    choose_columns,
    flag_sql,
    label_sql,
    time_kind,
    time_sql,
    unfit_time,
)
from memcom_tf.data.dialects import SparkDialect
from memcom_tf.data.engine import (
    Counts,
    EngineName,
    Ordered,
    Report,
    check_flags,
    check_labels,
    num_shards,
)
from memcom_tf.data.heartbeat import Heartbeat
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.spark_session import place_of, spark_session
from memcom_tf.errors import invalid
from memcom_tf.files import write_atomically

_KINDS: dict[str, ColumnKind] = {
    "string": "text",
    "binary": "bytes",
    "date": "date",
    "timestamp": "instant",
    "timestamp_ntz": "instant",
    "float": "fraction",
    "double": "fraction",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "integer",
    "boolean": "flag",
}
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Nanoseconds, which Spark has no type for, as the integers that they are.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Every field of a line is looked at, so that a line of too few is refused.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}
_COUNTED = "counted.json"


class SparkEngine:
    """A log in Spark.

    A session that is active is used. Else one is begun: by `spark-submit` or SPARK_REMOTE where
    they say so, and in this process's machine otherwise. The folders of the log and of the data
    set must be those of all workers, as of a shared file system.

    Args:
        files: The files.
        asked: The columns that are asked for.
        folder: Where the ordered sequences are kept.
        memory_bytes: What a session that is begun here may take of memory.
        report: Called with lines on what is done.

    Raises:
        ImportError: If pyspark is not installed.
        ValueError: If the files are damaged, or do not have the columns.
    """

    name: EngineName = "spark"

    def __init__(
        self,
        files: LogFiles,
        asked: Asked,
        *,
        folder: Path,
        memory_bytes: int,
        report: Report,
    ) -> None:
        if files.packed == ".zst":
            raise invalid(
                "Files of lines that Spark reads must not be .zst, for which it needs libraries "
                "of Hadoop.",
                "Unpack them, compress them with gzip, or use the engine duckdb.",
                path=str(files.paths[0]),
            )
        self._files, self._report, self._dialect = files, report, SparkDialect()
        self._folder = folder / "spark"
        self._session, self._error, self._is_ours = spark_session(memory_bytes)
        self._previous = {name: self._session.conf.get(name, None) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)
        report(f"Spark {self._session.version}, {place_of(self._session)}, keeps {self._folder}")
        with self._said():
            frame = self._read()
            kinds = {name: _kind(type_) for name, type_ in frame.dtypes}
            self._columns = choose_columns(frame.columns, asked)
            report(self._columns.reading())
            self._time_kind = self._open_log(frame, self._columns, kinds)

    @property
    def says_what_is_held_out(self) -> bool:
        """As `Engine.says_what_is_held_out`."""
        return self._columns.test is not None

    def close(self) -> None:
        """As `Engine.close`; a session that was begun here ends."""
        if self._is_ours:
            self._session.stop()
            return
        for name, value in self._previous.items():
            if value is None:
                self._session.conf.unset(name)
            else:
                self._session.conf.set(name, value)

    def count(self, interactions_of_shard: int) -> Counts:
        """As `Engine.count`."""
        noted = self._folder / _COUNTED
        if not noted.is_file():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            with self._said(), Heartbeat(self._report, "counting and ordering"):
                found = self._count(interactions_of_shard)
            write_atomically(noted, json.dumps(found).encode())
        found = json.loads(noted.read_text())
        items = _column(self._folder / "items", "label")
        users = np.array(found["users_of_shard"], np.int64)
        return Counts(items, users, found["interactions"], str(items.type), found["user_type"])

    def ordered(self, first_shard: int) -> Iterator[Ordered]:
        """As `Engine.ordered`."""
        found = json.loads((self._folder / _COUNTED).read_text())
        begin = sum(found["users_of_shard"][:first_shard])
        names = ["codes", *(["rows", "held_out"] if self.says_what_is_held_out else [])]
        for shard in range(first_shard, len(found["users_of_shard"])):
            if not found["users_of_shard"][shard]:
                continue
            lists = [_column(self._shard(shard), name) for name in names]
            lengths = np.diff(lists[0].offsets.to_numpy())
            yield Ordered(
                np.repeat(np.arange(begin, begin + len(lengths)), lengths),
                *(column.flatten().to_numpy(zero_copy_only=False) for column in lists),
            )
            begin += len(lengths)

    def users(self, shard: int) -> Any:
        """As `Engine.users`."""
        import pyarrow as pa

        if not self._shard(shard).is_dir():
            text = json.loads((self._folder / _COUNTED).read_text())["user_type"] == "string"
            return pa.array([], pa.string() if text else pa.int64())
        return _column(self._shard(shard), "user")

    def _shard(self, shard: int) -> Path:
        return self._folder / "sequences" / f"shard={shard}"

    def _read(self) -> Any:
        paths = [f"file://{path.resolve()}" for path in self._files.paths]
        reader = self._session.read
        if self._files.format == "parquet":
            return reader.parquet(*paths)
        names = ", ".join(f"{self._dialect.quoted(name)} STRING" for name in self._files.names)
        return reader.csv(
            paths,
            schema=names,
            header=True,
            sep=self._files.delimiter,
            quote='"',
            escape='"',
            mode="FAILFAST",
        )

    def _open_log(
        self, frame: Any, columns: LogColumns, kinds: dict[str, ColumnKind]
    ) -> TimeKind | None:
        """Names the log, with what tells the order of its rows."""
        dialect = self._dialect
        self._name_files(frame)
        of_lines = self._files.format != "parquet"
        # Within a block of a file rows are numbered as they come.
        line = "_metadata.file_block_start" if of_lines else "_metadata.row_index"
        flag = "FALSE"
        if columns.test is not None:
            flag = flag_sql(dialect, columns.test, kinds[columns.test])
        frame.selectExpr(
            f"{label_sql(dialect, columns.user, kinds[columns.user])} AS user",
            f"{label_sql(dialect, columns.item, kinds[columns.item])} AS item",
            f"{dialect.quoted(columns.time) if columns.time else '0'} AS written",
            f"{dialect.quoted(columns.test) if columns.test else '0'} AS flag",
            f"{flag} AS held_out",
            "_metadata.file_path AS path",
            f"{line} AS line",
            "monotonically_increasing_id() AS place",
        ).createOrReplaceTempView("memcom_rows")
        text = columns.time is not None and kinds[columns.time] == "text"
        kind = kinds[columns.time] if columns.time else "integer"
        found = self._written(columns) if text else None
        self._session.sql(
            f"SELECT *, {time_sql(dialect, 'written', kind, found)} AS time "
            "FROM memcom_rows JOIN memcom_paths USING (path)"
        ).createOrReplaceTempView("memcom_log")
        return found

    def _name_files(self, frame: Any) -> None:
        """Numbers the files in their order, by the names that Spark gives them."""
        place = {str(path.resolve()): number for number, path in enumerate(self._files.paths)}
        found = frame.selectExpr("_metadata.file_path AS path").distinct()
        rows = [
            (path, place[unquote(path.removeprefix("file:")).replace("//", "/")])
            for (path,) in found.collect()
        ]
        schema = "path STRING, file INT"
        self._session.createDataFrame(rows, schema).createOrReplaceTempView("memcom_paths")

    def _written(self, columns: LogColumns) -> TimeKind:
        fits = ", ".join(
            f"count_if({self._dialect.matches('trim(written)', pattern)})"
            for pattern in TIME_PATTERNS.values()
        )
        rows, missing, *found = self._values(
            f"SELECT count(*), count_if(written IS NULL OR trim(written) = ''), {fits} "
            "FROM memcom_rows"
        )
        assert columns.time is not None
        check_labels(columns.time, missing, 0, None)
        return time_kind(dict(zip(TIME_PATTERNS, found, strict=True)), rows, columns.time)

    def _count(self, interactions_of_shard: int) -> dict[str, Any]:
        interactions = self._check_times()
        self._check_flags()
        shards = num_shards(interactions, interactions_of_shard)
        labels = {label: self._label(label) for label in ("user", "item")}
        items = self._session.sql(
            f"SELECT name, {labels['item']} AS label, "
            f"CAST(row_number() OVER (ORDER BY {labels['item']}) - 1 AS INT) AS code "
            "FROM (SELECT DISTINCT item AS name FROM memcom_log)"
        )
        items.coalesce(1).write.parquet(self._uri("items"))
        self._session.read.parquet(self._uri("items")).createOrReplaceTempView("memcom_items")
        digits = "substring(md5(CAST(CAST(l.user AS STRING) AS BINARY)), 1, 8)"
        label = labels["user"].replace("name", "l.user")
        order, kept, source = (
            "l.time, l.file, l.line, l.place, i.code",
            {"codes": "code"},
            "memcom_log",
        )
        if self.says_what_is_held_out:
            order, source = "l.row, i.code, l.held_out", self._numbered()
            kept |= {"rows": "row", "held_out": "held_out"}
        lists = (f"transform(sorted, x -> x.{of}) AS {name}" for name, of in kept.items())
        ordered = self._session.sql(
            f"SELECT shard, user, {', '.join(lists)} FROM ("
            f"SELECT CAST(CAST(conv({digits}, 16, 10) AS BIGINT) % {shards} AS INT) AS shard, "
            f"{label} AS user, array_sort(collect_list(struct({order}))) AS sorted "
            f"FROM {source} l JOIN memcom_items i ON l.item = i.name GROUP BY l.user)"
        )
        by_shard = ordered.repartition(shards, "shard").sortWithinPartitions("shard", "user")
        by_shard.write.partitionBy("shard").parquet(self._uri("sequences"))
        users = [0] * shards
        for shard in range(shards):
            if self._shard(shard).is_dir():
                users[shard] = len(_column(self._shard(shard), "user"))
        user_type = "int64" if ordered.schema["user"].dataType.typeName() == "long" else "string"
        return {"interactions": interactions, "users_of_shard": users, "user_type": user_type}

    def _numbered(self) -> str:
        """The log with the number of each row, from 0, as `row`."""
        of_lines = self._files.format != "parquet"
        block, at = ("line", "place") if of_lines else ("0", "line")
        found = self._session.sql(
            f"SELECT file, {block} AS block, min({at}) AS first, count(*) AS n FROM memcom_log "
            "GROUP BY 1, 2"
        )
        before, starts = 0, []
        for file, start, first, rows in sorted(map(tuple, found.collect())):
            starts.append((file, start, before - first))
            before += rows
        schema = "file INT, block BIGINT, before BIGINT"
        self._session.createDataFrame(starts, schema).createOrReplaceTempView("memcom_blocks")
        return (
            f"(SELECT l.*, b.before + l.{at} AS row FROM memcom_log l JOIN memcom_blocks b "
            f"ON l.file = b.file AND {'l.line' if of_lines else '0'} = b.block)"
        )

    def _uri(self, name: str) -> str:
        return f"file://{(self._folder / name).resolve()}"

    def _check_times(self) -> int:
        name = self._columns.time
        limit = f"{EXACT_IN_FLOAT}" if self._time_kind == "fraction" else "double('Infinity')"
        rows, missing, fit = self._values(
            "SELECT count(*), count_if(written IS NULL), "
            f"count_if(abs(CAST(time AS DOUBLE)) < {limit}) FROM memcom_log"
        )
        if not rows:
            raise invalid("There must be interactions.", "The log has no rows.", rows=0)
        if name is not None:
            check_labels(name, missing, 0, None)
            if fit < rows:
                raise unfit_time(name, how_many=rows - fit)
        return int(rows)

    def _check_flags(self) -> None:
        name = self._columns.test
        if name is None:
            return
        text = "CAST(flag AS STRING)"
        found = self._values(
            f"SELECT count_if(flag IS NULL OR {text} = ''), "
            f"min({text}) FILTER (WHERE held_out IS NULL), count_if(NOT held_out) FROM memcom_rows"
        )
        check_flags(name, *found)

    def _label(self, label: Literal["user", "item"]) -> str:
        """The label of a `name`, once users or items are checked."""
        self._session.sql(
            f"SELECT {label} AS name, count(*) AS n FROM memcom_log GROUP BY {label}"
        ).createOrReplaceTempView("memcom_found")
        text = "CAST(name AS STRING)"
        marks = " OR ".join(f"contains({text}, char({mark}))" for mark in (10, 13))
        marks += rf" OR {text} RLIKE '[\\x00]'"
        missing, marked, example, others = self._values(
            f"SELECT coalesce(sum(n) FILTER (WHERE name IS NULL OR {text} = ''), 0), "
            f"coalesce(sum(n) FILTER (WHERE {marks}), 0), min({text}) FILTER (WHERE {marks}), "
            f"count_if(NOT {text} RLIKE '{INTEGER_LABEL}' OR TRY_CAST({text} AS BIGINT) IS NULL) "
            "FROM memcom_found"
        )
        column = getattr(self._columns, label)
        check_labels(column, missing, marked, example)
        of_lines = self._files.format != "parquet"
        if of_lines:
            self._check_utf8(text, column)
        return "CAST(name AS BIGINT)" if of_lines and not others else "name"

    def _check_utf8(self, text: str, column: str) -> None:
        """Refuses letters that Spark has put in the place of bytes that are not UTF-8."""
        (replaced,) = self._values(f"SELECT count_if(contains({text}, '\ufffd')) FROM memcom_found")
        if replaced:
            raise invalid(
                "The file must be text in UTF-8.",
                "Convert it, for example with iconv -f latin1 -t utf-8.",
                column=column,
                ids=replaced,
            )

    def _values(self, statement: str) -> Any:
        with self._said():
            (row,) = self._session.sql(statement).collect()
            return row

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Errors of Spark as this package's."""
        try:
            yield
        except self._error as error:
            reason = " ".join(str(error).partition("JVM stacktrace")[0].split())[:500]
            raise invalid(
                "The log must be readable by Spark, every line with as many fields as the first.",
                "Mend the file.",
                error=reason,
            ) from error


def _kind(type_: str) -> ColumnKind:
    if type_.startswith("decimal"):
        return "integer" if type_.endswith(",0)") else "fraction"
    return _KINDS.get(type_, "other")


def _column(folder: Path, name: str) -> Any:
    """A column of the only file that Spark wrote into a folder, as one Arrow array."""
    import pyarrow.parquet as pq

    (file,) = folder.glob("part-*.parquet")
    return pq.ParquetFile(file).read([name]).column(name).combine_chunks()
