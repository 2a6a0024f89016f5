"""Files side by side: what they weigh, how fast they are, how well they rank, and what changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Examples

from ..runtime import CompressedModelFile
from .compared_lists import ShownUser, check_examples, compare_lists
from .compared_paths import files_to_compare, labels_of
from .figures import FileFigures, sizes_of
from .latencies import Milliseconds, latencies_of
from .measurement import REPEATS
from .same_items import SameItems, same_items
from .summaries import best_trade_offs, sentence_of, smallest


@dataclass(frozen=True)
class Comparison:
    """Files side by side.

    Attributes:
        files: They, in the order given.
        reference: The place of the one that the others are held against.
        smallest: The place of the smallest of the others, of those whose lists are compared if any
            are.
        of_examples: Whether lists are of examples; else of random histories.
        users: Users whose lists are in the `behaviour` of each file.
        titles: What items are called, by their ids in the reference, as texts.
        summary: The main thing in plain words.
    """

    files: Sequence[FileFigures]
    reference: int
    smallest: int
    of_examples: bool
    users: Sequence[ShownUser]
    titles: Mapping[str, str]
    summary: str


def compare(
    paths: Sequence[str | os.PathLike[str]],
    *,
    reference: str | os.PathLike[str] | None = None,
    examples: Examples | None = None,
    repeats: int = REPEATS,
) -> Comparison:
    """Compares files of `memcom convert`. Needs LiteRT, no TensorFlow.

    Rankers are held against the reference where both have vocabularies of the same items, whatever
    their order, or both have none and the same number of ids. Of other files bytes and latencies
    are compared, and `FileFigures.not_compared` says why not more.

    Args:
        paths: Two `.tflite` files or more; a folder stands for all such files in it.
        reference: The file that the others are held against; None takes the first. It need not be
            among `paths`.
        examples: Examples with the ids of the reference, for the metrics of all. Without, lists of
            64 random histories are compared.
        repeats: How many calls a median latency is of.

    Returns:
        Bytes, latencies, agreement, metrics and what became of the lists.

    Raises:
        FileNotFoundError: If a path is neither a file nor a folder.
        ImportError: If ai-edge-litert is not installed.
        ValueError: If there are fewer than two files, one is foreign or damaged, `repeats` is not
            positive, or examples are given of files that are not rankers of the same items.

    Example:
        >>> import pathlib, tempfile
        >>> from memcom_tf import MEmComEmbedding
        >>> from memcom_tf.converters import convert
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(MEmComEmbedding(500, 16, num_buckets=50), history_length=8)
        >>> ranker.build((None, 8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.tflite", "b.tflite", "c.tflite"):
        ...         convert(ranker, k=5, verify=False).save(pathlib.Path(folder) / name)
        ...     comparison = compare([folder], repeats=1)
        >>> [file.label for file in comparison.files]
        ['a.tflite', 'b.tflite', 'c.tflite']
        >>> comparison.files[2].summary
        'c.tflite is as large as a.tflite and shares 5.0 of 5 items with it.'
    """
    if repeats < 1:
        raise invalid(
            "`repeats` must be positive.", "Pass how many calls to time.", repeats=repeats
        )
    found, at = files_to_compare(paths, reference)
    files = [CompressedModelFile(path) for path in found]
    rankers = [same_items(files[at], file) for file in files]
    if examples is not None:
        check_examples(examples, files, rankers, at)
    figures = [
        _figures(
            file, label, files[at], milliseconds, None if isinstance(ranker, SameItems) else ranker
        )
        for file, label, milliseconds, ranker in zip(
            files, labels_of(found), latencies_of(files, repeats), rankers, strict=True
        )
    ]
    lists = compare_lists(rankers, at, examples)
    for place in lists.agreements:
        figures[place] = replace(
            figures[place],
            agreement=lists.agreements[place],
            metrics=lists.metrics[place],
            behaviour=lists.behaviours[place],
        )
    figures = best_trade_offs(figures)
    figures = [replace(of, summary=sentence_of(of, figures[at])) for of in figures]
    place = smallest(figures, at)
    of_examples = examples is not None
    said = figures[place].summary
    return Comparison(figures, at, place, of_examples, lists.users, lists.titles, said)


def _figures(
    file: CompressedModelFile,
    label: str,
    reference: CompressedModelFile,
    milliseconds: Milliseconds,
    not_compared: str | None,
) -> FileFigures:
    sizes = sizes_of(file.report)
    smaller = reference.report["file_bytes"] / sizes["file"]
    return FileFigures(
        str(file.path), label, file.report, sizes, smaller, milliseconds, not_compared
    )
