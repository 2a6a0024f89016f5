"""Fields: what the columns of rows are, and the numbers that a model takes for them."""

from memcom_tf.features.drawing import draw_rows
from memcom_tf.features.fields import Categorical, Features, Numeric
from memcom_tf.features.fitting import fit_features
from memcom_tf.features.texts import fit_text, hashed_ngrams
from memcom_tf.features.tokens import ngrams_of, words_of

__all__ = [
    "Categorical",
    "Features",
    "Numeric",
    "draw_rows",
    "fit_features",
    "fit_text",
    "hashed_ngrams",
    "ngrams_of",
    "words_of",
]
