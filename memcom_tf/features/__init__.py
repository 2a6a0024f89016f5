"""Fields: what the columns of rows are, and the numbers that a model takes for them."""

from memcom_tf.features.drawing import draw_rows
from memcom_tf.features.fields import Categorical, Features, Numeric
from memcom_tf.features.fitting import fit_features

__all__ = ["Categorical", "Features", "Numeric", "draw_rows", "fit_features"]
