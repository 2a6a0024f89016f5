"""What models of fields have in common: their variables, training, and vocabularies when saved."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.features import Features
from memcom_tf.models.assets import load_fields, save_fields
from memcom_tf.optimizers.adaptation import adapted_layers, with_adaptation


class FieldModel(keras.Model):
    """A model of rows of fields; a subclass has `features`, and `build` that takes no shape."""

    features: Features

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
