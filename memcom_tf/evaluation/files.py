"""Splits of files of interactions, by the protocol that their columns ask for."""

from __future__ import annotations

import os

from memcom_tf.datasets.interactions import Interactions, load_interactions, read_columns
from memcom_tf.evaluation.examples import Split
from memcom_tf.evaluation.held_out import hold_out
from memcom_tf.evaluation.last_out import leave_last_out
from memcom_tf.vocabulary import Vocabulary


def load_split(
    path: str | os.PathLike[str],
    *,
    user: str = "user",
    item: str = "item",
    time: str | None = None,
    test: str = "test",
    history_length: int = 50,
    vocabulary: Vocabulary | None = None,
) -> Split:
    """Reads interactions from a file and splits them.

    Where the file has a column `test`, its flags say what is held out (`hold_out`); else the last
    item of each user is for test (`leave_last_out`).

    Args:
        path: As `memcom_tf.datasets.load_interactions` takes it.
        user: The column of users.
        item: The column of items.
        time: The column of times; None takes the order of the rows, or a column "time".
        test: The column of flags.
        history_length: L, the number of columns of the histories.
        vocabulary: A vocabulary to use as it is; None builds one.

    Returns:
        The split.

    Raises:
        ImportError, OSError, ValueError: As `load_interactions` and the protocols.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "clicks.npz"
        ...     np.savez(path, user=[1, 1, 1, 2], item=[5, 7, 9, 5], test=[0, 0, 1, 0])
        ...     split = load_split(path)
        >>> split.ordered, len(split.train_interactions)
        (False, 3)
    """
    columns = read_columns(path)
    if time is None and "time" in columns:
        time = "time"
    log: Interactions = load_interactions(path, user=user, item=item, time=time)
    if test in columns:
        return hold_out(log, columns[test], history_length=history_length, vocabulary=vocabulary)
    return leave_last_out(log, history_length=history_length, vocabulary=vocabulary)
