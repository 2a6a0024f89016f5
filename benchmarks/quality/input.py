"""The papers' setting, in which the table of the histories alone is compressed, after a teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.quality.case import Case
from benchmarks.quality.outcome import Outcome
from memcom_tf.compression.students import uncompressed, vectors_of
from memcom_tf.compression.tables import approximation_of
from memcom_tf.evaluation import Split, evaluate_ranking
from memcom_tf.layers import CompressedEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.models.rebuilding import rebuilt_ranker
from memcom_tf.ordering import similarity_order
from memcom_tf.training import TrainingSettings, train
from memcom_tf.training.validation import validation_of
from memcom_tf.vocabulary import Vocabulary

INPUT_RATIO = 16
"""Parameters of the full table over those of the compressed one."""
_DEDICATED = 0.1, 0.25, 0.5, 0.75, 0.9
"""Shares of the rows that may belong to single items: what is best differs between data sets."""


def input_after_teacher(case: Case, seed: int, limit: int) -> Outcome:
    """MEmCom from the table of a trained ranker, and trained after that.

    The order is by the trained vectors. How many rows are of single items is chosen on validation,
    before training.
    """
    teacher, epoch = case.trained_baseline("untied-teacher", seed)
    settings = replace(case.settings.student, seed=seed)
    model, split, record = with_compressed_input(teacher, case.split, INPUT_RATIO, settings)
    layer = model.item_embedding
    name = f"MEmComEmbedding(num_buckets={layer.num_buckets}, num_dedicated={layer.num_dedicated})"
    return Outcome(model, split, epoch, record["epoch"], name)


def with_compressed_input(
    teacher: NextItemRanker, split: Split, ratio: float, settings: TrainingSettings
) -> tuple[NextItemRanker, Split, dict[str, Any]]:
    """A ranker after one of two full tables, of which that of the histories is MEmCom.

    Args:
        teacher: The trained ranker.
        split: The interactions.
        ratio: Parameters of the full table over those of the compressed one.
        settings: How the new ranker is trained.

    Returns:
        The ranker, the interactions under its ids, and the record of its training.
    """
    width = teacher.item_embedding.output_dim
    rows = MEmComEmbedding.for_ratio(split.vocabulary.input_dim, width, ratio).num_buckets

    def ndcg(start: tuple[NextItemRanker, NextItemRanker, Split]) -> float:
        examples = validation_of(start[2], settings)
        found = evaluate_ranking(start[0].predict_on_batch, examples, k=settings.k)
        return float(found[f"ndcg@{settings.k}"])

    starts = (_shared(split, teacher, rows, int(share * rows)) for share in _DEDICATED)
    model, original, renumbered = max(starts, key=ndcg)
    return model, renumbered, train(model, renumbered, settings, teacher=original)


def with_best_input(
    teacher: NextItemRanker, split: Split, ratio: float, settings: TrainingSettings
) -> tuple[NextItemRanker, Split]:
    """The same with the closed form of least error of all, as `compress` chooses it.

    Args:
        teacher: The trained ranker.
        split: The interactions.
        ratio: Bytes of the full table in float32 over those of the compressed one in a file.
        settings: How the new ranker is trained.

    Returns:
        The ranker, and the interactions under its ids.
    """
    vocabulary = split.vocabulary
    frequencies = _frequencies(vocabulary)
    replaced = teacher.item_embedding

    def tables(layer: CompressedEmbedding) -> CompressedEmbedding:
        if layer is not replaced:
            return layer
        vectors = vectors_of(layer)
        found = approximation_of(vectors, int(vectors.nbytes / ratio), frequencies=frequencies)
        assert found is not None, "no method is as small"
        return found.layer

    model = rebuilt_ranker(teacher, vocabulary, tables)
    train(model, split, settings, teacher=teacher)
    return model, split


def _frequencies(vocabulary: Vocabulary) -> np.ndarray:
    """How much the error of an id counts: as often as histories hold the item."""
    frequencies = np.zeros(vocabulary.input_dim)
    frequencies[vocabulary.ids(list(vocabulary))] = vocabulary.counts + 1.0
    return frequencies


def _shared(
    split: Split, teacher: NextItemRanker, rows: int, num_dedicated: int
) -> tuple[NextItemRanker, NextItemRanker, Split]:
    """A ranker with so many rows in closed form, the teacher, and the split, under its ids."""
    vocabulary = split.vocabulary
    sharing = {"num_buckets": rows - num_dedicated, "num_dedicated": num_dedicated}
    order = similarity_order(
        vectors_of(teacher.item_embedding)[vocabulary.ids(list(vocabulary))],
        counts=vocabulary.counts,
        first_id=vocabulary.first_id,
        **sharing,
    )
    ordered = vocabulary.reordered(order)
    original = uncompressed(teacher, ordered)
    frequencies = _frequencies(ordered)

    def tables(layer: CompressedEmbedding) -> CompressedEmbedding:
        if layer is not original.item_embedding:
            return layer
        return MEmComEmbedding.from_table(vectors_of(layer), frequencies=frequencies, **sharing)

    return rebuilt_ranker(original, ordered, tables), original, split.renumbered(ordered)
