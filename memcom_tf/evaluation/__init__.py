"""Evaluation of rankings: one protocol, its metrics, and the way from a model to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memcom_tf.evaluation.metrics import (
    ranking_metrics,
    ranks_from_lists,
    ranks_from_scores,
    standard_error,
)
from memcom_tf.evaluation.protocol import Examples, Split, leave_last_out
from memcom_tf.evaluation.ranking import evaluate_lists, evaluate_ranking, rank_examples

if TYPE_CHECKING:
    from memcom_tf.evaluation.callback import RankingValidation

__all__ = [
    "Examples",
    "RankingValidation",
    "Split",
    "evaluate_lists",
    "evaluate_ranking",
    "leave_last_out",
    "rank_examples",
    "ranking_metrics",
    "ranks_from_lists",
    "ranks_from_scores",
    "standard_error",
]


def __getattr__(name: str) -> Any:
    if name == "RankingValidation":  # the one that needs TensorFlow
        from memcom_tf.evaluation.callback import RankingValidation

        return RankingValidation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
