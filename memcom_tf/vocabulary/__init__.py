"""What a user calls an item, and the id that the tables use."""

from memcom_tf.vocabulary.parts import Details, Order, OutOfVocabulary
from memcom_tf.vocabulary.vocabulary import PADDING_ID, SHARED_ID, Vocabulary

__all__ = ["PADDING_ID", "SHARED_ID", "Details", "Order", "OutOfVocabulary", "Vocabulary"]
