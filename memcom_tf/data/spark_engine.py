"""Spark as the engine: on a cluster, or in local processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.data.columns import Asked
from memcom_tf.data.engine import Counts, EngineName, Ordered, Report, num_shards
from memcom_tf.data.heartbeat import Heartbeat
from memcom_tf.data.inputs import LogFiles
from memcom_tf.data.spark_files import check_packed, numbered, said_by_spark
from memcom_tf.data.spark_log import SparkLog
from memcom_tf.data.spark_session import place_of
from memcom_tf.files import write_atomically

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
        check_packed(files)
        self._files, self._report, self._folder = files, report, folder / "spark"
        self._log = SparkLog(files, memory_bytes)
        self._session = self._log.session
        report(f"Spark {self._session.version}, {place_of(self._session)}, keeps {self._folder}")
        self._log.open(asked, report)

    @property
    def says_what_is_held_out(self) -> bool:
        """As `Engine.says_what_is_held_out`."""
        return self._log.columns.test is not None

    def close(self) -> None:
        """As `Engine.close`; a session that was begun here ends."""
        self._log.close()

    def count(self, interactions_of_shard: int) -> Counts:
        """As `Engine.count`."""
        noted = self._folder / _COUNTED
        if not noted.is_file():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            with said_by_spark(self._log.errors), Heartbeat(self._report, "counting and ordering"):
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

    def _count(self, interactions_of_shard: int) -> dict[str, Any]:
        interactions = self._log.check()
        shards = num_shards(interactions, interactions_of_shard)
        labels = {label: self._log.label(label) for label in ("user", "item")}
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
            order, source = "l.row, i.code, l.held_out", numbered(self._session, self._files)
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

    def _uri(self, name: str) -> str:
        return f"file://{(self._folder / name).resolve()}"


def _column(folder: Path, name: str) -> Any:
    """A column of the only file that Spark wrote into a folder, as one Arrow array."""
    import pyarrow.parquet as pq

    (file,) = folder.glob("part-*.parquet")
    return pq.ParquetFile(file).read([name]).column(name).combine_chunks()
