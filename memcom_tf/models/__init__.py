"""Models that the layers are for."""

from memcom_tf.models.carry_over import extended_ranker, refreshed_ranker
from memcom_tf.models.click import ClickModel
from memcom_tf.models.click_tables import compressed_tables
from memcom_tf.models.losses import RankingLoss
from memcom_tf.models.next_item import NextItemRanker
from memcom_tf.models.retrieval import RetrievalModel
from memcom_tf.models.saving import load_model, save_model
from memcom_tf.models.text_classifier import TextClassifier
from memcom_tf.models.text_vectors import TextVectors

__all__ = [
    "ClickModel",
    "NextItemRanker",
    "RankingLoss",
    "RetrievalModel",
    "TextClassifier",
    "TextVectors",
    "compressed_tables",
    "extended_ranker",
    "load_model",
    "refreshed_ranker",
    "save_model",
]
