"""The data of the benchmark of quality: what is read, and the split that the file asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memcom_tf.datasets import movielens_100k
from memcom_tf.evaluation import Split, leave_last_out, load_split

MOVIELENS = "movielens"


@dataclass(frozen=True)
class Data:
    """Interactions, split once for all runs.

    Attributes:
        name: What the runs call them.
        split: Training, validation and test, the same for all seeds.
        fingerprint: Of all of it.
    """

    name: str
    split: Split
    fingerprint: str


def load(source: str, history_length: int) -> Data:
    """Reads and splits a data set.

    Args:
        source: "movielens", or a .npz, .csv, .tsv or .parquet file with `user` and `item`, each
            user's in time order, or with their `time`. Where it has `test`, flags of 0 and 1, those
            are held out, and half of them is validation; else each user's last item is test, and
            the one before validation.
        history_length: Items of a history.

    Returns:
        The data.
    """
    if source == MOVIELENS:
        name, split = MOVIELENS, leave_last_out(movielens_100k(), history_length=history_length)
    else:
        name, split = Path(source).stem, load_split(source, history_length=history_length)
    return Data(name, split, fingerprint(split))


def fingerprint(split: Split) -> str:
    """Twelve digits that tell splits apart."""
    digest = hashlib.sha256(split.vocabulary.fingerprint.encode())
    for part in (split.train, split.validation, split.test):
        for array in (part.history, part.target, part.left_out):
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:12]
