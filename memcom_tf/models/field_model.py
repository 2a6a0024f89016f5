"""What models of fields have in common: their variables, training, and vocabularies when saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.features import Features
from memcom_tf.models.assets import load_fields, save_fields
from memcom_tf.models.replicas import has_several_workers
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation


class FieldModel(keras.Model):
    """A model of rows of fields; a subclass has `features`, and `build` that takes no shape."""

    features: Features
    _call_alone: Any = None

    def build_once(self) -> None:
        """Creates the variables where they do not exist yet."""
        if not self.built:
            with tf.init_scope():
                self.build(None)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit`, and lets tables change that do so between steps."""
        if adapted_layers(self):
            kwargs["callbacks"] = with_adaptation(self, kwargs.get("callbacks"))
        return super().fit(*args, **kwargs)

    def outputs_of(self, inputs: dict[str, np.ndarray], batch_size: int) -> np.ndarray:
        """The outputs for rows, as `predict` gives them; of several workers each has its own.

        `predict` would wait for the others there, and gather what all of them predict.

        Args:
            inputs: As the model takes them.
            batch_size: Rows that are computed together.
        """
        if not has_several_workers():
            found: np.ndarray = self.predict(inputs, batch_size=batch_size, verbose=0)
            return found
        if self._call_alone is None:
            self._call_alone = tf.function(
                lambda rows: self(rows, training=False), reduce_retracing=True
            )
        count = len(next(iter(inputs.values())))
        parts = [
            {name: values[begin : begin + batch_size] for name, values in inputs.items()}
            for begin in range(0, count, batch_size)
        ]
        return np.concatenate([self._call_alone(part).numpy() for part in parts])

    def get_build_config(self) -> dict[str, Any]:
        """What `build_from_config` takes: that there are variables says enough."""
        return {"fields": len(self.features.names)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the variables of a model that is loaded; Keras calls this."""
        self.build_once()

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabularies into the saved model; Keras calls this."""
        save_fields(self.features, dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabularies from the saved model; Keras calls this."""
        self.features = load_fields(self.features, dir_path)
