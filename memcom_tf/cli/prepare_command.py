"""`memcom prepare`: a log becomes a data set on disk, which `train` and `compress` read."""

from __future__ import annotations

import argparse
from pathlib import Path

from memcom_tf.cli import log_options
from memcom_tf.cli.commands import DONE, say
from memcom_tf.cli.ranker_commands import parse_bytes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "logs",
        nargs="+",
        metavar="LOG",
        help="files (.csv, .tsv, .txt, also .gz or .zst, or .parquet), folders of files, or "
        "patterns such as 'day=*/*.parquet'",
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
        default=0,
        help="items that occur less often in training get no id (0)",
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
        default=2**21,
        metavar="N",
        help="about how many interactions a file of DATASET has (2097152)",
    )
    parser.add_argument("--force", action="store_true", help="replace DATASET if it exists")


def prepare(options: argparse.Namespace) -> int:
    """Prepares a log, and prints what the data set has."""
    from memcom_tf.data import prepare

    data = prepare(
        options.logs,
        options.output,
        engine=options.engine,
        user=options.user,
        item=options.item,
        time=options.time,
        test=log_options.column_of_test(options),
        min_count=options.min_count,
        max_size=options.max_size,
        out_of_vocabulary=options.out_of_vocabulary,
        interactions_per_shard=options.interactions_per_shard,
        memory=options.memory,
        overwrite=options.force,
        report=say,
    )
    found = data.manifest.statistics
    print(
        f"{options.output}: {found['interactions']:,} interactions of {found['users']:,} users, "
        f"{data.manifest.vocabulary['size']:,} of {found['items']:,} items with an id, "
        f"{data.num_shards:,} shards"
    )
    return DONE
