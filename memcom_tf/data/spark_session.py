"""The session of Spark: the one that is active, or one that is begun."""

from __future__ import annotations

import os
from typing import Any

from memcom_tf.errors import message


def place_of(session: Any) -> str:
    """Where a session runs, as a line says it."""
    from pyspark.errors import PySparkException

    try:
        return f"on {session.sparkContext.master}"
    except (AttributeError, PySparkException):  # Spark Connect has no context.
        return "by Spark Connect"


def spark_session(memory_bytes: int) -> tuple[Any, tuple[type[Exception], ...], bool]:
    """A session, what its errors are, and whether it was begun here."""
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ImportError(
            message(
                "pyspark must be installed for the engine spark.",
                'Run: pip install "memcom_tf[spark]"; it needs Java 17 or later.',
                missing=error.name,
            )
        ) from error
    errors = (PySparkException, Py4JError)
    active = SparkSession.getActiveSession()
    if active is not None:
        return active, errors, False
    builder = SparkSession.builder.appName("memcom prepare")
    # `spark-submit` and Spark Connect say where the cluster is.
    if not {"PYSPARK_GATEWAY_PORT", "SPARK_REMOTE"} & set(os.environ):
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "*"
        builder = (
            builder.master(f"local[{threads}]")
            .config("spark.driver.memory", f"{memory_bytes // 2**20}m")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "8")
        )
    try:
        return builder.getOrCreate(), errors, True
    except errors as error:
        raise ImportError(
            message(
                "Spark must start; it needs Java 17 or later.",
                "Install Java, or use the engine duckdb.",
                error=str(error)[:300],
            )
        ) from error
