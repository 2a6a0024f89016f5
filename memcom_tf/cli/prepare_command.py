"""`memcom prepare`: a log or rows become a data set on disk, which `train` and `compress` read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from memcom_tf.cli import click_commands, log_options, task_options
from memcom_tf.cli.commands import DONE, say
from memcom_tf.cli.ranker_commands import parse_bytes

_TASKS = "next-item", "click"
_OF_THE_TASK: dict[str, tuple[Any, tuple[str, ...]]] = {
    "min_count": (None, _TASKS),
    **dict.fromkeys(("max_size", "out_of_vocabulary"), (None, _TASKS[:1])),
    "interactions_per_shard": (None, _TASKS[:1]),
    **dict.fromkeys(("seed", "rows_per_shard"), (None, _TASKS[1:])),
}
"""Options of one task alone, beside those that `train` has."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    task_options.add_task(parser, _TASKS)
    parser.add_argument(
        "interactions",
        nargs="+",
        metavar="LOG",
        help="interactions, or rows with --task click: files (.csv, .tsv, .txt, also .gz or .zst, "
        "or .parquet), folders of files, or patterns such as 'day=*/*.parquet'; also URLs "
        "such as s3://bucket/log, or the folder of a Delta table",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DATASET", help="the folder to write"
    )
    parser.add_argument(
        "--engine",
        choices=("duckdb", "spark"),
        default="duckdb",
        help="what counts and orders: duckdb (the default), in this process and out of core, or "
        "spark, on the cluster that spark-submit or SPARK_REMOTE names, else here",
    )
    for column in ("user", "item"):
        parser.add_argument(
            f"--{column}", metavar="COLUMN", help=f"column of the {column}s, as of `train`"
        )
    log_options.add_column(
        parser,
        "time",
        "column of times, as of `train`",
        "the order of the rows counts as time, whatever columns there are",
    )
    log_options.add_column(
        parser,
        "test",
        "column of 0 and 1: what is held out, as of `train`",
        "no column says what is held out, whatever columns there are",
    )
    parser.add_argument(
        "--min-count",
        type=int,
        help="items that occur less often in training get no id (0); of rows, values that do share "
        "an id (2)",
    )
    parser.add_argument(
        "--max-size", type=int, help="how many items get an id at most, the most frequent (all)"
    )
    parser.add_argument(
        "--out-of-vocabulary",
        choices=("drop", "share"),
        help="items without an id: drop (the default) leaves their interactions out, share gives "
        "them one id",
    )
    parser.add_argument(
        "--memory",
        type=parse_bytes,
        metavar="BYTES",
        help="memory of the engine, e.g. 4GB (half of what is free, 3 GiB at most)",
    )
    parser.add_argument(
        "--interactions-per-shard",
        type=int,
        metavar="N",
        help="about how many interactions a file of DATASET has (2097152)",
    )
    task_options.add_columns(parser)
    rows = parser.add_argument_group("how rows are prepared (--task click)")
    rows.add_argument("--seed", type=int, help="of the split, where there are no times (0)")
    rows.add_argument(
        "--rows-per-shard",
        type=int,
        metavar="N",
        help="about how many rows a shard of DATASET has (524288)",
    )
    parser.add_argument("--force", action="store_true", help="replace DATASET if it exists")


def prepare(options: argparse.Namespace) -> int:
    """Prepares a log or rows, and prints what the data set has."""
    task_options.check_options_of_task(options, _OF_THE_TASK)
    given: dict[str, Any] = {
        name: getattr(options, name) for name in _OF_THE_TASK if getattr(options, name) is not None
    }
    common = {
        "engine": options.engine,
        "memory": options.memory,
        "overwrite": options.force,
        "report": say,
    }
    if options.task == "click":
        return _rows(options, given, common)
    from memcom_tf.data import prepare

    data = prepare(
        options.interactions,
        options.output,
        user=options.user,
        item=options.item,
        time=options.time,
        test=log_options.column_of_test(options),
        **given,
        **common,
    )
    found = data.manifest.statistics
    print(
        f"{options.output}: {found['interactions']:,} interactions of {found['users']:,} users, "
        f"{data.manifest.vocabulary['size']:,} of {found['items']:,} items with an id, "
        f"{data.num_shards:,} shards"
    )
    return DONE


def _rows(options: argparse.Namespace, given: dict[str, Any], common: dict[str, Any]) -> int:
    from memcom_tf.data import prepare_rows

    columns = click_commands.columns_of(options)
    data = prepare_rows(
        options.interactions, options.output, columns, format=options.format, **given, **common
    )
    found = data.manifest.statistics
    print(
        f"{options.output}: {found['rows']:,} rows of {len(data.features.names)} fields, "
        f"{found['train']:,} to train on, {found['validation']:,} for validation, "
        f"{found['test']:,} for test, {len(data.train.shards):,} shards"
    )
    return DONE
