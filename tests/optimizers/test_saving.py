"""Optimizers are saved with the model, and train on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from tests.optimizers.cases import SETTINGS, assert_equal, embedding_model, fit, set_up


@pytest.mark.parametrize("name", SETTINGS)
def test_config_through_json(name):
    optimizer = set_up(name)
    for module in (
        (keras.saving.serialize_keras_object, keras.saving.deserialize_keras_object),
        (keras.optimizers.serialize, keras.optimizers.deserialize),
    ):
        again = module[1](json.loads(json.dumps(module[0](optimizer))))
        assert type(again) is type(optimizer)
        assert again.get_config() == optimizer.get_config()
    assert optimizer.name.replace("_", "").lower().startswith(type(optimizer).__name__.lower())
    config = optimizer.get_config()
    for argument, value in SETTINGS[name][1].items():
        assert config[argument] == value
    assert config["learning_rate_multipliers"] == {"multiplier": 10.0}
    assert config["learning_rate"] == pytest.approx(0.03)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", SETTINGS)
def test_training_goes_on_after_loading_as_if_never_interrupted(name, tmp_path):
    model = embedding_model(set_up(name))
    fit(model)
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded.optimizer) is SETTINGS[name][0]
    for one in (model, loaded):
        fit(one, start=3)
    assert_equal(loaded.trainable_variables, model.trainable_variables)
    assert_equal(loaded.optimizer.variables, model.optimizer.variables)
    fresh = embedding_model(set_up(name))
    fresh.set_weights(keras.models.load_model(path).get_weights())
    fit(fresh, start=3)
    if name != "sgd":  # it has no state
        pairs = zip(fresh.trainable_variables, model.trainable_variables, strict=True)
        assert any(np.any(np.asarray(one) != np.asarray(other)) for one, other in pairs)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["adam", "rowwise"])
def test_checkpoints(name, tmp_path):
    model = embedding_model(set_up(name))
    fit(model)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "it")
    other = embedding_model(set_up(name))
    fit(other, steps=1)
    restored = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    restored.assert_consumed()
    assert_equal(other.optimizer.variables, model.optimizer.variables)
    for one in (model, other):
        fit(one, start=3)
    assert_equal(other.trainable_variables, model.trainable_variables)
