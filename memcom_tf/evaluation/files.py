"""Splits of files of interactions, by the protocol that their columns ask for."""

from __future__ import annotations

import os

from memcom_tf.datasets.logs import Log, Report, TimeColumn, load_log
from memcom_tf.evaluation.examples import Split
from memcom_tf.evaluation.held_out import hold_out
from memcom_tf.evaluation.last_out import leave_last_out
from memcom_tf.vocabulary import OutOfVocabulary, Vocabulary


def load_split(
    path: str | os.PathLike[str],
    *,
    user: str | None = None,
    item: str | None = None,
    time: TimeColumn = None,
    test: str = "test",
    history_length: int = 50,
    vocabulary: Vocabulary | None = None,
    new_items: OutOfVocabulary | None = None,
    report: Report | None = None,
) -> Split:
    """Reads interactions from a file, once, and splits them.

    Where the file has a column `test`, its flags say what is held out (`hold_out`); else the last
    item of each user is for test (`leave_last_out`).

    Args:
        path: As `memcom_tf.datasets.load_interactions` takes it.
        user: The column of users, as `load_interactions` takes it.
        item: The column of items, likewise.
        time: The column of times, likewise.
        test: The column of flags.
        history_length: L, the number of columns of the histories.
        vocabulary: A vocabulary to use as it is; None builds one.
        new_items: What becomes of items that this vocabulary does not know: "error", "drop" or
            "share"; None takes its own policy.
        report: Called with a line that says which columns were read as what, and with one that
            counts what is new.

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
    return split_log(
        load_log(path, user=user, item=item, time=time, test=test, report=report),
        history_length=history_length,
        vocabulary=vocabulary,
        new_items=new_items,
        report=report,
    )


def split_log(
    log: Log,
    *,
    history_length: int = 50,
    vocabulary: Vocabulary | None = None,
    new_items: OutOfVocabulary | None = None,
    report: Report | None = None,
) -> Split:
    """Splits what `memcom_tf.datasets.load_log` read, as `load_split` does.

    Args:
        log: The interactions, and what of them is held out.
        history_length: As in `load_split`.
        vocabulary: As in `load_split`.
        new_items: As in `load_split`.
        report: Called with a line that counts what is new, where there is any.

    Returns:
        The split.

    Raises:
        ValueError: As the protocols.

    Example:
        >>> from memcom_tf.datasets import Interactions
        >>> log = Log(Interactions(user=[1] * 5, item=[5, 7, 9, 6, 8]), None)
        >>> known = Vocabulary([5, 6, 7, 8])
        >>> split = split_log(log, vocabulary=known, new_items="drop", report=print)
        1 of 5 interactions are left out: the model does not know their items (1)
    """
    interactions, is_test = log
    if is_test is None:
        split = leave_last_out(
            interactions,
            history_length=history_length,
            vocabulary=vocabulary,
            new_items=new_items,
        )
    else:
        split = hold_out(
            interactions,
            is_test,
            history_length=history_length,
            vocabulary=vocabulary,
            new_items=new_items,
        )
    if report is not None and split.num_new_interactions:
        policy = new_items or split.vocabulary.out_of_vocabulary
        became = "are left out" if policy == "drop" else "are with the id that new items share"
        report(
            f"{split.num_new_interactions:,} of {len(interactions):,} interactions {became}: "
            f"the model does not know their items ({split.num_new_items:,})"
        )
    return split
