"""What a user calls an item, and the id that the tables use."""

from memcom_tf.vocabulary.dictionary import Dictionary
from memcom_tf.vocabulary.encoding import encode_dictionary
from memcom_tf.vocabulary.parts import Details, Order, OutOfVocabulary
from memcom_tf.vocabulary.several import encode_dictionaries, read_dictionaries
from memcom_tf.vocabulary.vocabulary import PADDING_ID, SHARED_ID, Vocabulary

__all__ = [
    "PADDING_ID",
    "SHARED_ID",
    "Details",
    "Dictionary",
    "Order",
    "OutOfVocabulary",
    "Vocabulary",
    "encode_dictionaries",
    "encode_dictionary",
    "read_dictionaries",
]
