"""Fields: what the columns of rows are, and the numbers that a model takes for them."""

from memcom_tf.features.fields import Categorical, Features, Numeric
from memcom_tf.features.fitting import fit_features

__all__ = ["Categorical", "Features", "Numeric", "fit_features"]
