"""Evaluation of rankings, clicks and classes: protocols, metrics, and the way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memcom_tf.evaluation.clicks import by_frequency, click_metrics
from memcom_tf.evaluation.documents import (
    DocumentSplit,
    class_metrics,
    class_numbers,
    split_documents,
)
from memcom_tf.evaluation.examples import Examples, Split
from memcom_tf.evaluation.files import load_split, split_log
from memcom_tf.evaluation.held_out import hold_out
from memcom_tf.evaluation.last_out import leave_last_out
from memcom_tf.evaluation.lists import (
    agreement,
    best_lists,
    list_metrics,
    popularity_groups,
)
from memcom_tf.evaluation.metrics import (
    ranking_metrics,
    ranks_from_lists,
    ranks_from_scores,
    standard_error,
    standard_error_of_difference,
)
from memcom_tf.evaluation.ranking import evaluate_lists, evaluate_ranking, rank_examples
from memcom_tf.evaluation.rows import RowSplit, split_rows

if TYPE_CHECKING:
    from memcom_tf.evaluation.callback import RankingValidation

__all__ = [
    "DocumentSplit",
    "Examples",
    "RankingValidation",
    "RowSplit",
    "Split",
    "agreement",
    "best_lists",
    "by_frequency",
    "class_metrics",
    "class_numbers",
    "click_metrics",
    "evaluate_lists",
    "evaluate_ranking",
    "hold_out",
    "leave_last_out",
    "list_metrics",
    "load_split",
    "popularity_groups",
    "rank_examples",
    "ranking_metrics",
    "ranks_from_lists",
    "ranks_from_scores",
    "split_documents",
    "split_log",
    "split_rows",
    "standard_error",
    "standard_error_of_difference",
]


def __getattr__(name: str) -> Any:
    if name == "RankingValidation":  # the one that needs TensorFlow
        from memcom_tf.evaluation.callback import RankingValidation

        return RankingValidation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
