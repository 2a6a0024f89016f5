"""Models that the layers are for."""

from memcom_tf.models.carry_over import extended_ranker, refreshed_ranker
from memcom_tf.models.next_item import NextItemRanker
from memcom_tf.models.saving import save_model

__all__ = ["NextItemRanker", "extended_ranker", "refreshed_ranker", "save_model"]
