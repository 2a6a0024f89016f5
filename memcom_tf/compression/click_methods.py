"""Methods that all large tables of a click model may be of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from memcom_tf.compression.candidates import Candidate
from memcom_tf.layers import QuotientRemainderEmbedding, TensorTrainEmbedding


class Student(NamedTuple):
    """A model of which all large tables are of one method.

    Attributes:
        described: What it is called.
        candidate: The method at a number of rows, a width and a ratio of numbers.
        taught: Share of what the original predicts in the target; the labels are the rest.
        anew: Whether its tables begin at random, and not with what comes nearest to the original.
    """

    described: str
    candidate: Callable[[int, int, float], Candidate]
    taught: float
    anew: bool = False


def _partitions(rows: int, width: int, ratio: float) -> Candidate:
    """The partitions of a table of so many times fewer numbers, or the smallest."""
    # A number of each id's own, where it is no more than half of the bytes.
    own: dict[str, Any] = {"own_dim": int(width > 1 and ratio <= width / 2)}
    method = QuotientRemainderEmbedding
    smallest = method(rows, width, num_buckets=method.size_range(rows, width, **own)[0], **own)
    if smallest.compression_ratio <= ratio:
        return Candidate(method, {"num_buckets": smallest.num_buckets, **own})
    layer = method.for_ratio(rows, width, ratio, **own)
    return Candidate(method, {"num_buckets": layer.num_buckets, **own})


def _tensor_train(rows: int, width: int, ratio: float) -> Candidate:
    """The tensor train of a table of so many times fewer numbers, or the smallest."""
    smallest = TensorTrainEmbedding(rows, width, rank=1)
    if smallest.compression_ratio <= ratio:
        return Candidate(TensorTrainEmbedding, {"rank": 1})
    layer = TensorTrainEmbedding.for_ratio(rows, width, ratio)
    return Candidate(TensorTrainEmbedding, {"rank": layer.rank})


STUDENTS = (
    Student("partitions", _partitions, taught=0.7),
    Student("tensor trains", _tensor_train, taught=0.5, anew=True),
)
