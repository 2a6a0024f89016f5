"""Tables of articles with so many rows, and who decides which articles have rows of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.drift.data import Day, Stream
from benchmarks.drift.ranker import WIDTH, Ranker
from memcom_tf._keras import keras
from memcom_tf.layers import CAFEEmbedding, CompressedEmbedding, FullEmbedding, HashedEmbedding

FULL, ORACLE = "full", "oracle"
ADAPTS_EVERY, DECAY = 25, 0.8
_NEVER = 10**9
_LEAST_BUCKETS = 64
_TESTED = 10_000
"""Of a day so many targets are tested."""


@dataclass(frozen=True)
class Contender:
    """A way to spend the rows.

    Attributes:
        label: What it is, for the report.
        make: The table, for so many ids and rows.
        chosen_by: What chooses the articles with rows of their own before a day is trained on:
            "so far", their clicks up to that day, its own included; "tested", those of the next
            day; None leaves it to training.
    """

    label: str
    make: Callable[[int, int], CompressedEmbedding]
    chosen_by: str | None = None


def _cafe(
    importance: str,
    buckets: int | None,
    adapts_every: int = ADAPTS_EVERY,
    least: int = 1,
    warm: bool = False,
) -> Any:
    """CAFE, with so many buckets of the sketch for each row of its own and at least so many.

    Where it has warm ids, as many as hot ones, half of the shared rows are for their second one.
    """

    def make(num_items: int, rows: int) -> CompressedEmbedding:
        own = rows // 2
        second = (rows - own) // 2 if warm else 0
        return CAFEEmbedding(
            num_items,
            WIDTH,
            num_buckets=rows - own - second,
            num_warm=own if second else 0,
            warm_buckets=second or None,
            num_dedicated=own,
            importance=importance,
            adapts_every=adapts_every,
            decay=DECAY,
            sketch_buckets=None if buckets is None else max(buckets * own, least),
        )

    return make


CONTENDERS: Mapping[str, Contender] = {
    FULL: Contender("a row for each article", lambda n, rows: FullEmbedding(n, WIDTH)),
    "hashing": Contender(
        "plain hashing", lambda n, rows: HashedEmbedding(n, WIDTH, num_buckets=rows)
    ),
    "static": Contender(
        "rows of their own for the most clicked so far",
        _cafe("frequency", None, _NEVER),
        "so far",
    ),
    "cafe_exact_frequency": Contender("CAFE, exact counts, by frequency", _cafe("frequency", None)),
    "cafe_exact_gradient": Contender("CAFE, exact counts, by gradient", _cafe("gradient", None)),
    "cafe_sketch_frequency": Contender("CAFE, sketch, by frequency", _cafe("frequency", 1)),
    "cafe_sketch_gradient": Contender("CAFE, sketch, by gradient", _cafe("gradient", 1)),
    "cafe_large_sketch_gradient": Contender(
        "CAFE, four times the sketch, by gradient", _cafe("gradient", 4, least=_LEAST_BUCKETS)
    ),
    "cafe_warm_gradient": Contender(
        "CAFE, four times the sketch, by gradient, with warm articles",
        _cafe("gradient", 4, least=_LEAST_BUCKETS, warm=True),
    ),
    ORACLE: Contender(
        "oracle: the most clicked of the day tested", _cafe("frequency", None, _NEVER), "tested"
    ),
}


def run(stream: Stream, name: str, ratio: int | None, seed: int) -> dict[str, Any]:
    """Trains on each day and tests on the next.

    Args:
        stream: The clicks.
        name: Of a contender.
        ratio: Articles for a row; None of a full table.
        seed: Of the first weights and of what is drawn.

    Returns:
        The metrics of each day tested, sizes and seconds.
    """
    keras.utils.set_random_seed(seed)
    contender = CONTENDERS[name]
    rows = stream.num_items if ratio is None else max(2, round(stream.num_items / ratio))
    ranker = Ranker(contender.make(stream.num_items, rows))
    clicks = np.zeros(stream.num_items)
    days, training, testing = [], 0.0, 0.0
    for number, (day, following) in enumerate(zip(stream.days, stream.days[1:], strict=False)):
        seen = clicks + np.bincount(day.targets, minlength=len(clicks))
        if contender.chosen_by is not None:
            ahead = np.bincount(following.targets, minlength=len(clicks)) * (seen > 0)
            _choose(ranker, seen if contender.chosen_by == "so far" else ahead)
        start = time.perf_counter()
        ranker.train(day, stream.catalogues[number], seed + 1000 * number)
        trained = time.perf_counter()
        some = _some(following)
        gains, areas = ranker.test(some, stream.catalogues[number + 1], number)
        training, testing = (
            training + trained - start,
            testing + time.perf_counter() - trained,
        )
        clicks = seen
        known = clicks[some.targets] > 0
        days.append(
            {
                "day": number + 1,
                "nDCG": float(gains.mean()),
                "AUC": float(areas.mean()),
                "nDCG known": float(gains[known].mean()),
                "AUC known": float(areas[known].mean()),
                "known": float(known.mean()),
                "own rows": _share_with_own_rows(ranker.table, some.targets),
            }
        )
    return {
        "days": days,
        "rows": rows,
        "training_bytes": sum(4 * table.parameters for table in ranker.table.tables()),
        "file_bytes": sum(t.stored_bytes for t in ranker.table.tables() if t.ships),
        "steps": ranker.steps,
        "seconds": training + testing,
        "training_seconds": training,
    }


def _some(day: Day) -> Day:
    """Targets of all hours of a day."""
    count = len(day.targets)
    places = np.linspace(0, count - 1, min(count, _TESTED)).astype(np.int64)
    return Day(day.histories[places], day.targets[places])


def _choose(ranker: Ranker, importance: np.ndarray) -> None:
    """Gives the rows of their own to the articles that matter most."""
    tables = ranker.table.table_values()
    if not importance.any():
        return
    # No others have numbers, so that none keeps its row for having it.
    hot = np.argsort(-importance, kind="stable")[: ranker.table.num_dedicated]
    judged = np.zeros(len(importance), np.float32)
    judged[hot] = 1 + importance[hot]
    judged[importance == 0] = 0
    ranker.table.assign_tables(tables | {"importance": judged[:, None]})
    ranker.adapt()


def _share_with_own_rows(table: CompressedEmbedding, targets: np.ndarray) -> float:
    if isinstance(table, CAFEEmbedding):
        return float(table.has_row(targets).mean())
    return float(isinstance(table, FullEmbedding))
