"""The Keras that TensorFlow runs: Keras 3, or tf_keras where `TF_USE_LEGACY_KERAS=1` is set."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import tensorflow as tf

from memcom_tf.errors import message

is_keras_3: bool = tf.keras.layers.Layer.__module__.startswith("keras.")
keras: Any = import_module("keras" if is_keras_3 else "tf_keras")

if keras.__version__.startswith("2.") and keras.__name__ == "keras":
    raise ImportError(
        message(
            "memcom_tf must run on Keras 3, or on tf_keras where TF_USE_LEGACY_KERAS=1 is set.",
            'Run: pip install --upgrade "tensorflow>=2.16".',
            keras=keras.__version__,
            tensorflow=tf.__version__,
        )
    )
if is_keras_3 and keras.backend.backend() != "tensorflow":
    raise ImportError(
        message(
            "memcom_tf must run on Keras' TensorFlow backend.",
            "Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported.",
            backend=keras.backend.backend(),
        )
    )
