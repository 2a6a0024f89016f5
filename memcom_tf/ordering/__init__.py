"""Which ids share a row: orders of a vocabulary that put similar items together."""

from memcom_tf.ordering.carry_over import extended_layer, refreshed_layer
from memcom_tf.ordering.class_vectors import class_vectors
from memcom_tf.ordering.interaction_vectors import interaction_vectors
from memcom_tf.ordering.measuring import measured_order
from memcom_tf.ordering.order import Placement, SimilarityOrder
from memcom_tf.ordering.similarity import similarity_order

__all__ = [
    "Placement",
    "SimilarityOrder",
    "class_vectors",
    "extended_layer",
    "interaction_vectors",
    "measured_order",
    "refreshed_layer",
    "similarity_order",
]
