"""Ranking what a user chooses next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from memcom_tf.tasks.queries import draw_queries
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
        return model.query_specs["history"]


class Retrieval(NextItem):
    """A list of items for a query, which a model of its own computes from any inputs.

    A model of this task is as `memcom_tf.models.RetrievalModel`.
    """

    file_kind: ClassVar[FileKind] = "retrieval"

    def inputs(self, model: Any) -> Any:
        """Those of a query, by name."""
        return model.query_specs

    def function(self, model: Any) -> tuple[str, Callable[[Any], Any]]:
        """From inputs to the query."""
        return "query", lambda inputs: {"query": model.query(inputs)}

    def samples(self, model: Any) -> Any:
        """Queries drawn of the items and the fields that a model knows."""
        return draw_queries(model)
