"""Evaluation of rankings: one protocol, its metrics, and the way from a model to them."""

from memcom_tf.evaluation.metrics import (
    ranking_metrics,
    ranks_from_lists,
    ranks_from_scores,
    standard_error,
)
from memcom_tf.evaluation.protocol import Examples, Split, leave_last_out
from memcom_tf.evaluation.ranking import evaluate_lists, evaluate_ranking, rank_examples

__all__ = [
    "Examples",
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
