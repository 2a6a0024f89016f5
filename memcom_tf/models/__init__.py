"""Models that the layers are for."""

from memcom_tf.models.next_item import NextItemRanker

__all__ = ["NextItemRanker"]
