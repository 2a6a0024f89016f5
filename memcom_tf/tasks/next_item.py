"""Ranking what a user chooses next."""

from __future__ import annotations

from typing import Any, ClassVar

from memcom_tf.tasks.task import FileKind, Task


class NextItem(Task):
    """A list of items after a history of items, judged by nDCG and recall.

    A model of this task has `history_length`, the tables `item_embedding`, `scored_embedding` and
    `item_bias_embedding`, `query`, `score` and `score_all`, as `memcom_tf.models.NextItemRanker`.
    Its examples are `memcom_tf.evaluation.Examples`.
    """

    name: ClassVar[str] = "next_item"
    file_kind: ClassVar[FileKind] = "ranker"

    def inputs(self, model: Any) -> Any:
        """Histories of ids."""
        import tensorflow as tf

        return tf.TensorSpec([None, model.history_length], tf.int32)
