"""The documents of a benchmark."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.datasets import Documents, load_documents
from memcom_tf.datasets.files.npz import array_names, read_arrays
from memcom_tf.evaluation import DocumentSplit, split_documents
from memcom_tf.training.checkpoint import fingerprint

_ARRAYS = "token", "split", "label", "test", "group", "word"
_FIRST_WORD = 2
"""Token 1 is that of words that training does not have."""


def load(path: Path, **columns: Any) -> Documents:
    """Documents of a file: columns of texts and labels, or arrays of tokens.

    An .npz file of `token [t]`, `split [n + 1]` (where each document begins), `label [n]` (a place
    in `group`), `test [n]` and `word`, bytes of one word a line, is 20 Newsgroups by date.

    Args:
        path: The file.
        **columns: Those of `memcom_tf.datasets.load_documents`.
    """
    if path.suffix != ".npz" or not set(_ARRAYS) <= set(array_names(path)):
        return load_documents(path, **columns)
    arrays = read_arrays(path, _ARRAYS)
    words = ["", "neverinanydocument", *arrays["word"].tobytes().decode().split("\n")]
    known = np.array(words, object)[arrays["token"]]
    bounds = arrays["split"].tolist()
    texts = [" ".join(known[a:b]) for a, b in pairwise(bounds)]
    names = arrays["group"][arrays["label"].astype(int)]
    return Documents.of(texts, [str(name) for name in names], is_test=arrays["test"])


def split_of(documents: Documents, most: int | None) -> DocumentSplit:
    """The split, the same for every seed, of all documents or of so many."""
    if most is not None and most < len(documents):
        rows = np.random.default_rng(0).permutation(len(documents))[:most]
        documents = documents[np.sort(rows)]
    return split_documents(documents)


def name_of(split: DocumentSplit) -> str:
    """What tells the documents of a split from others."""
    parts = (split.train, split.validation, split.test)
    columns = [part.text.codes for part in parts] + [part.labels.codes for part in parts]
    words = np.frombuffer("".join(map(str, split.train.text.values)).encode(), np.uint8)
    return fingerprint([*columns, words])[:16]
