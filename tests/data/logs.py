"""Logs for the tests of prepared data sets, and how splits are compared."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memcom_tf.evaluation import Split


def rows_of(count=1500, users=60, items=40, seed=0, times=200):
    """Users, items and times with many ties; a third of the users have fewer than 3 rows."""
    rng = np.random.default_rng(seed)
    user = (users * rng.random(count) ** 3).astype(int)
    item = (items * rng.random(count) ** 2).astype(int)
    return user, item, rng.integers(0, times, count)


def flags_of(count, seed=1):
    """What of some interactions is held out: a third of them."""
    return (np.random.default_rng(seed).random(count) < 0.3).astype(int)


def write_csv(path: Path, user, item, time, delimiter=",", **others) -> Path:
    names = ("user", "item", "time", *others)
    lines = [names, *zip(user, item, time, *others.values(), strict=True)]
    text = "".join(delimiter.join(map(str, line)) + "\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zst":
        path.write_bytes(pa.compress(text.encode(), "zstd", asbytes=True))
    else:
        path.write_text(text)
    return path


def write_parquet(path: Path, user, item, time, **others) -> Path:
    table = pa.table({"user": list(user), "item": list(item), "time": list(time), **others})
    pq.write_table(table, path, row_group_size=400)
    return path


def named(numbers, prefix):
    return [f"{prefix}{number}" for number in numbers]


def assert_same_split(found: Split, wanted: Split, *, in_order: bool = True) -> None:
    """Requires equal vocabularies, and equal examples of every user."""
    assert found.vocabulary == wanted.vocabulary
    assert found.dropped == wanted.dropped
    for name in ("train", "validation", "test"):
        one, two = getattr(found, name), getattr(wanted, name)
        order = slice(None) if in_order else np.argsort(one.user, kind="stable")
        assert one.user[order].tolist() == two.user.tolist(), name
        np.testing.assert_array_equal(one.history[order], two.history, name)
        np.testing.assert_array_equal(one.target[order], two.target, name)
        assert one.history.dtype == two.history.dtype
        np.testing.assert_array_equal(one.left_out[order], two.left_out, name)
    assert found.ordered == wanted.ordered
