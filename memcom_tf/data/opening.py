"""A prepared data set, opened by what its manifest says."""

from __future__ import annotations

import os
from pathlib import Path

from memcom_tf.data.manifest import SETS, load_manifest
from memcom_tf.data.prepared_sets import PreparedSets
from memcom_tf.data.prepared_split import PreparedSplit
from memcom_tf.evaluation.known import check_history_length, check_new_items
from memcom_tf.vocabulary import OutOfVocabulary, Vocabulary


def open_dataset(
    path: str | os.PathLike[str],
    *,
    history_length: int = 50,
    vocabulary: Vocabulary | None = None,
    new_items: OutOfVocabulary | None = None,
) -> PreparedSplit:
    r"""Opens what `prepare` wrote. Only the manifest is read at once.

    Args:
        path: The folder.
        history_length: L, the number of columns of the histories.
        vocabulary: A vocabulary to use in place of the data set's, as that of a trained model.
        new_items: What becomes of items that this vocabulary does not know, as in
            `memcom_tf.evaluation.leave_last_out`.

    Returns:
        The split.

    Raises:
        ImportError: If pyarrow is not installed.
        FileNotFoundError: If there is no data set, or a file of it is missing.
        ValueError: If the manifest is damaged, an argument is out of range, or the vocabulary does
            not know an item.

    Example:
        >>> import tempfile
        >>> from memcom_tf.data import prepare
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "log.csv").write_text("user,item\n1,7\n1,8\n1,9\n1,7\n")
        ...     _ = prepare(Path(folder) / "log.csv", Path(folder) / "data")
        ...     data = open_dataset(Path(folder) / "data", history_length=2)
        ...     len(data.train), data.validation.history.tolist()
        (1, [[1, 2]])
    """
    check_history_length(history_length)
    check_new_items(vocabulary, new_items)
    manifest = load_manifest(Path(path), "next-item")
    sets = manifest.settings.get("protocol") == SETS
    data = (PreparedSets if sets else PreparedSplit)(Path(path), manifest, history_length)
    return data if vocabulary is None else data.with_ids_of(vocabulary, new_items)
