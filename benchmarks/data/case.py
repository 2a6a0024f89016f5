"""One way to prepare a log, or to make batches of it; a process of its own each."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.measure import Result

_BLOCK_ROWS = 2**20
_ROWS_A_USER = 100
_ROWS_AN_ITEM = 10
_HISTORY_LENGTH = 50
_BATCH_SIZE = 256


def write_log(path: str, rows: int, seed: int) -> Result:
    """Writes a log of string ids as Parquet: a user has 100 rows, an item 10, some far more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    users, items = max(1, rows // _ROWS_A_USER), max(1, rows // _ROWS_AN_ITEM)
    types = {"user": pa.string(), "item": pa.string(), "time": pa.int64()}
    beside = Path(path).with_suffix(".tmp")
    with pq.ParquetWriter(beside, pa.schema(types.items()), compression="zstd") as file:
        for low in range(0, rows, _BLOCK_ROWS):
            count = min(_BLOCK_ROWS, rows - low)
            user = rng.integers(0, users, count)
            item = (items * rng.random(count) ** 2).astype(np.int64)
            columns = {
                "user": pa.array(np.char.add("user-", user.astype(str))),
                "item": pa.array(np.char.add("item-", item.astype(str))),
                "time": pa.array(low // 10 + rng.integers(0, 100_000, count)),
            }
            file.write_table(pa.table(columns))
    os.replace(beside, path)
    return {"bytes": Path(path).stat().st_size}


def run_duckdb(path: str, folder: str) -> Result:
    """DuckDB alone: counts the items, and writes every user's items in order.

    Lists in order do not leave its memory: of 100 million rows 3 GiB are too few.
    """
    import duckdb

    threads = len(os.sched_getaffinity(0))
    settings = {"threads": threads, "memory_limit": "10GiB", "temp_directory": f"{folder}/spill"}
    with duckdb.connect(config=settings) as connection:
        source = f"read_parquet('{path}')"
        counted = f"SELECT item, count(*) AS n FROM {source} GROUP BY item"
        connection.execute(f"CREATE TABLE items AS {counted} ORDER BY n DESC, item")
        ordered = f"SELECT user, list(item ORDER BY time) AS items FROM {source} GROUP BY user"
        connection.execute(f"COPY ({ordered}) TO '{folder}/sequences.parquet'")
    return {}


def run_prepare(path: str, folder: str, engine: str = "duckdb") -> Result:
    """This package: counts, orders, splits, writes shards, and hashes what it read and wrote."""
    from memcom_tf.data import prepare

    data = prepare(path, f"{folder}/{engine}", engine=engine, overwrite=True)  # type: ignore[arg-type]
    files = (file.stat().st_size for file in data.folder.iterdir())
    return {
        "bytes": sum(files),
        "items": data.manifest.vocabulary["size"],
        "hash": data.fingerprint,
    }


def run_loader(path: str, folder: str) -> Result:
    """This package without `prepare`: reads the file, and splits it in memory."""
    from memcom_tf.evaluation import load_split

    split = load_split(path, history_length=_HISTORY_LENGTH)
    return {"items": len(split.vocabulary)}


def run_pandas(path: str, folder: str) -> Result:
    """Counts the items, and orders every user's."""
    import pandas as pd

    log = pd.read_parquet(path)
    counts = log["item"].value_counts()
    log = log.sort_values(["user", "time"], kind="stable")
    log.groupby("user", sort=False)["item"].agg(list).to_frame().to_parquet(
        f"{folder}/pandas.parquet"
    )
    return {"items": len(counts)}


def run_polars(path: str, folder: str) -> Result:
    """Counts the items, and orders every user's."""
    import polars as pl

    log = pl.scan_parquet(path)
    counts = log.group_by("item").len().collect(engine="streaming")
    ordered = log.sort("user", "time", maintain_order=True).group_by("user", maintain_order=True)
    ordered.agg(pl.col("item")).sink_parquet(f"{folder}/polars.parquet")
    return {"items": len(counts)}


def make_batches(path: str, folder: str, source: str, batches: int) -> Result:
    """Makes batches for training, from memory or from the shards; no model sees them."""
    import tensorflow  # noqa: F401  its import is not what is measured

    from memcom_tf.training.streaming import batches_of

    if source == "memory":
        from memcom_tf.evaluation import load_split

        split = load_split(path, history_length=_HISTORY_LENGTH)
    else:
        from memcom_tf.data import open_dataset

        split = open_dataset(f"{folder}/duckdb", history_length=_HISTORY_LENGTH)
    stream = iter(batches_of(split, batch_size=_BATCH_SIZE).dataset())
    next(stream)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(stream)
    rows = batches * _BATCH_SIZE
    return {
        "rows_a_second": rows / (time.perf_counter() - begin),
        "rows_a_cpu_second": rows / (time.process_time() - cpu),
    }


TASKS: dict[str, Any] = {
    "write": write_log,
    "duckdb": run_duckdb,
    "prepare": run_prepare,
    "loader": run_loader,
    "pandas": run_pandas,
    "polars": run_polars,
    "batches": make_batches,
}


def usage_of(process: int) -> tuple[float, int]:
    """CPU seconds and peak memory of a process and of those that it started and that still run."""
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    cpu = sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK")
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    peak = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    for other in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(other.read_text().rpartition(")")[2].split()[1])
            more = usage_of(int(other.parent.name)) if parent == process else (0.0, 0)
        except OSError:
            continue  # It has ended.
        cpu, peak = cpu + more[0], peak + more[1]
    return cpu, peak


def main() -> None:
    """Does the task that it is given, and prints its figures."""
    arguments = json.loads(sys.argv[1])
    task = arguments.pop("task")
    if "folder" in arguments:
        Path(arguments["folder"]).mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    found = TASKS[task](**arguments)
    wall = time.perf_counter() - begin
    cpu, peak = usage_of(os.getpid())
    print(json.dumps({"seconds": wall, "cpu_seconds": cpu, "peak_bytes": peak, **found}))


if __name__ == "__main__":
    main()
